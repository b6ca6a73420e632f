"""The driver of SageMaker runs its calm cases on moto, as it does on a real account (`make conformance-real`)."""

import os
import pathlib
import re
import subprocess
import tempfile
import unittest

import emulators

ROOT = pathlib.Path(__file__).parents[4]
TARGET = """
apiVersion: roadstead.dev/v1alpha1
kind: ServingTarget
metadata: {name: moto}
spec:
  cloud: aws
  region: eu-west-1
  type: SageMaker
  sageMaker:
    accountID: "123456789012"
    executionRoleARN: arn:aws:iam::123456789012:role/roadstead
    imageMirrors: [{source: vllm/vllm-openai, mirror: 123456789012.dkr.ecr.eu-west-1.amazonaws.com/vllm}]
  offers:
    - {name: t4, instanceType: ml.g4dn.xlarge, accelerator: {type: T4, count: 1}, capacityType: OnDemand, hourlyPrice: "0.01"}
  allowedNamespaces: {}
"""


def is_known(case, end):
    """True if a case fails for a row of the table: moto-serves-at-once, or moto-updates-nothing."""
    return "it serves at once" in end or case.startswith("updates_")


class Driver(unittest.TestCase):
    def run_cases(self, url):
        """What the conformance suite prints."""
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as target:
            target.write(TARGET)
            target.flush()
            settings = {"TARGET": target.name, "URL": url, "DOLLARS": "100.00", "PAUSE_SECONDS": "0.05", "CASE_SECONDS": "20"}
            credentials = {"AWS_ACCESS_KEY_ID": emulators.KEY, "AWS_SECRET_ACCESS_KEY": emulators.SECRET}
            environment = {**os.environ, **credentials, **{f"ROADSTEAD_REAL_{name}": value for name, value in settings.items()}}
            command = ["cargo", "test", "--quiet", "--workspace", "--test", "conformance"]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        return done.stdout, done.stdout + done.stderr

    def test_calm_cases_pass_but_for_what_moto_lacks(self):
        moto = emulators.moto()
        self.addCleanup(moto.end)
        moto.wait()
        printed, everything = self.run_cases(moto.url)
        ends = dict(re.findall(r"^(\w+) \.\.\. ((?:ok|FAILED|not run).*)$", printed, re.MULTILINE))
        failed = {case: end for case, end in ends.items() if not end.startswith("ok")}
        self.assertGreater(len(ends), 2 * len(failed), everything)
        self.assertEqual([case for case, end in failed.items() if not is_known(case, end)], [], everything)
        self.assertIn("it serves at once", failed["reports_a_start_until_it_succeeds"])
        self.assertIn("HTTP 500", failed["updates_in_place"])
