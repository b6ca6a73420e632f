"""schemathesis asks the fake of DigitalOcean what the vendor's document allows, and what it forbids: no answer may be outside the document.

Requests are made up from a fixed seed, so that each run asks the same.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
import urllib.request

import deviations
import service

DOCUMENT = pathlib.Path(__file__).parents[1] / "digitalocean.openapi.yaml"
TOKEN = "dop_v1_token_of_the_fake"
INSTANCES = "/v2/dedicated-inferences"
SPEC = {
    "version": 1,
    "name": "new-dedicated-inference",
    "region": "nyc2",
    "vpc": {"uuid": "997615ce-132d-4bae-9270-9ee21b395e5d"},
    "enable_public_endpoint": True,
    "model_deployments": [
        {
            "model_slug": "example/llama",
            "model_provider": "hugging_face",
            "accelerators": [{"accelerator_slug": "gpu-h100x1-80gb", "scale": 1, "type": "prefill_decode"}],
        }
    ],
}
# The token of callers, and an instance with a token, so that requests reach more than what is missing.
SETTINGS = """
[auth.openapi.bearer_auth]
bearer = "{bearer}"
[parameters]
dedicated_inference_id = "{instance}"
token_id = "{token}"
"""


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.url = self.fakes.urls["digitalOcean"]

    def create(self):
        """Identifiers of a new instance and of its token."""
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        body = json.dumps({"spec": SPEC}).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + INSTANCES, body, headers), timeout=10) as answer:
            made = json.load(answer)
        return made["dedicated_inference"]["id"], made["token"]["id"]

    def fuzz(self, examples, *more, bearer=TOKEN):
        """Operations by the kind of failure, and what schemathesis says of them."""
        instance, token = self.create()
        with tempfile.TemporaryDirectory() as folder:
            settings, report = pathlib.Path(folder, "schemathesis.toml"), pathlib.Path(folder, "report.json")
            settings.write_text(SETTINGS.format(bearer=bearer, instance=instance, token=token))
            command = [pathlib.Path(sys.executable).with_name("schemathesis"), "--config-file", settings, "run", DOCUMENT]
            command += ["--url", self.url, "--seed", "1", "--phases", "examples,coverage,fuzzing", "--continue-on-failure"]
            command += ["--max-examples", str(examples), "--report", "json", "--report-json-path", report, *more]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            self.assertTrue(report.exists(), done.stdout + done.stderr)
            found = json.loads(report.read_text())
        self.assertEqual((found["stop_reason"], found["errors"]), ("completed", []), done.stdout)
        return {failure["type"]: set(failure["operations"]) for failure in found["failures"]}, done.stdout


# Kinds of failures that are known, with their row.
KNOWN = {
    "RejectedPositiveData": "digitalocean-sells-by-catalog",
    "UnsupportedMethodResponse": "digitalocean-says-404",
}


class Fuzzed(Case):
    def test_no_answer_is_outside_the_document(self):
        failures, said = self.fuzz(20)
        self.assertEqual(failures.keys() - KNOWN.keys(), set(), said)
        bodies = {f"POST {INSTANCES}", f"PATCH {INSTANCES}/{{dedicated_inference_id}}"}
        self.assertLessEqual(failures.get("RejectedPositiveData", set()), bodies, said)
        for kind, row in KNOWN.items():
            with self.subTest(row):
                self.assertIn(kind, failures)
                deviations.hold(row)

    def test_a_wrong_answer_is_found(self):
        broken = {"service": "digitalocean", "operation": "list", "times": 1000, "effect": {"kind": "html", "status": 502}}
        self.fakes.script(broken)
        failures, _ = self.fuzz(2, "--include-operation-id", "dedicatedInferences_list")
        self.assertIn("ServerError", failures)
