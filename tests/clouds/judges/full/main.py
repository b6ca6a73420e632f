"""The life of an endpoint on the fake of SageMaker and on moto: both must take it, and the differences must be the known ones.

moto's endpoints are in service at once, so the clock of the fake is set forward after each step.
"""

import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
import deviations  # noqa: E402
import service  # noqa: E402

ROLE = "arn:aws:iam::123456789012:role/roadstead"
TAGS = [{"Key": "roadstead.dev/install-id", "Value": "prod"}]
TYPE = "ml.g4dn.xlarge"


class Place:
    """One service with clients for it."""

    def __init__(self, url, advance):
        self.url, self.advance = url, advance
        self.api, self.tagging = self.client("sagemaker"), self.client("resourcegroupstaggingapi")

    def client(self, name):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
        return boto3.client(
            name,
            region_name="eu-west-1",
            endpoint_url=self.url,
            aws_access_key_id="AKIDCLOUDS",
            aws_secret_access_key="secret-of-the-fake",
            config=config,
        )

    def model(self, name="m"):
        self.api.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": "vllm"}, Tags=TAGS)

    def config(self, name="c", instance_type=TYPE, **changes):
        variant = {"VariantName": "main", "ModelName": "m", "InstanceType": instance_type, "InitialInstanceCount": 1}
        variants = [{**variant, **changes}]
        self.api.create_endpoint_config(EndpointConfigName=name, ProductionVariants=variants, Tags=TAGS)

    def endpoint(self, name="e", tags=TAGS):
        self.api.create_endpoint(EndpointName=name, EndpointConfigName="c", Tags=tags)

    def make(self):
        self.model()
        self.config()
        self.endpoint()
        self.advance(300)

    def state(self, name="e"):
        return self.api.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def tagged(self):
        found = self.tagging.get_resources(
            TagFilters=[{"Key": TAGS[0]["Key"], "Values": ["prod"]}], ResourceTypeFilters=["sagemaker:endpoint"]
        )
        return [one["ResourceARN"].rpartition("/")[2] for one in found["ResourceTagMappingList"]]

    def refusal(self, call):
        """Code and text of a refusal; None if the call succeeds."""
        try:
            call()
        except botocore.exceptions.ClientError as error:
            refusal = error.response["Error"]
            return f"{refusal['Code']}: {refusal['Message']}"[:60]
        return None


def of_fake(case):
    fakes = service.Fakes(os.environ["CLOUDS"])
    case.addCleanup(fakes.end)
    return Place(fakes.urls["sagemaker"], fakes.advance)


def of_moto(case):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = pathlib.Path(sys.executable).with_name("moto_server")
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)], stdout=quiet, stderr=quiet)
    case.addCleanup(process.wait)
    case.addCleanup(process.kill)
    url = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            urllib.request.urlopen(url + "/moto-api/", timeout=5).close()
            return Place(url, lambda seconds: None)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError("moto does not answer within 30 s")


class Both(unittest.TestCase):
    def life(self, place):
        place.make()
        self.assertEqual(place.state(), "InService")
        self.assertEqual([one["EndpointName"] for one in place.api.list_endpoints()["Endpoints"]], ["e"])
        arn = place.api.describe_endpoint(EndpointName="e")["EndpointArn"]
        self.assertEqual(arn, "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e")
        self.assertEqual(place.api.list_tags(ResourceArn=arn)["Tags"], TAGS)
        self.assertEqual(place.tagged(), ["e"])
        wish = [{"VariantName": "main", "DesiredInstanceCount": 2}]
        place.api.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wish)
        place.advance(300)
        variant = place.api.describe_endpoint(EndpointName="e")["ProductionVariants"][0]
        self.assertEqual(variant["DesiredInstanceCount"], 2)
        place.api.delete_endpoint(EndpointName="e")
        place.advance(60)
        refusal = place.refusal(lambda: place.state())
        self.assertTrue(refusal.startswith("ValidationException: Could not find endpoint"), refusal)
        place.api.delete_endpoint_config(EndpointConfigName="c")
        place.api.delete_model(ModelName="m")
        self.assertEqual(place.api.list_models()["Models"], [])

    def test_the_fake(self):
        self.life(of_fake(self))

    def test_moto(self):
        self.life(of_moto(self))


def at_once(place):
    place.model()
    place.config()
    place.endpoint()
    return place.state()


def taken_name(place):
    place.make()
    refusal = place.refusal(lambda: place.endpoint(tags=[]))
    return refusal, place.tagged()


def busy(place):
    place.model()
    place.config()
    place.endpoint()
    return place.refusal(lambda: place.api.delete_endpoint(EndpointName="e"))


def new_types(place):
    place.model()
    return place.refusal(lambda: place.config(instance_type="ml.p5.48xlarge"))


def unknown_key(place):
    place.api = boto3.client(
        "sagemaker",
        region_name="eu-west-1",
        endpoint_url=place.url,
        aws_access_key_id="AKIDNOBODY",
        aws_secret_access_key="another",
    )
    return (place.refusal(place.api.list_endpoints) or "accepted").partition(":")[0]


# The row, how it is tried, what the fake does (as the service, by its rules), and what moto does.
DEVIATIONS = [
    ("moto-serves-at-once", at_once, "Creating", "InService"),
    (
        "moto-replaces-names",
        taken_name,
        ("ValidationException: Cannot create already existing endpoint", ["e"]),
        (None, []),
    ),
    ("moto-deletes-busy", busy, "ValidationException: Cannot update in-progress endpoint", None),
    ("moto-knows-old-types", new_types, None, "ValidationException: Value 'ml.p5.48xlarge' at 'instanceType"),
    ("moto-takes-any-key", unknown_key, "UnrecognizedClientException", "accepted"),
]


class Deviations(unittest.TestCase):
    """A row that does not hold any more fails: moto or the fake has changed."""

    def test_the_table(self):
        for row, attempt, by_fake, by_moto in DEVIATIONS:
            with self.subTest(row):
                self.same(attempt(of_fake(self)), by_fake)
                self.same(attempt(of_moto(self)), by_moto)
                deviations.hold(row)
        self.assertEqual(deviations.unchecked("make judges-full"), [])

    def same(self, seen, expected):
        if isinstance(expected, tuple):
            for one, other in zip(seen, expected, strict=True):
                self.same(one, other)
        elif isinstance(expected, str):
            self.assertTrue(str(seen).startswith(expected), seen)
        else:
            self.assertEqual(seen, expected)


if __name__ == "__main__":
    os.environ["CLOUDS"] = os.path.abspath(sys.argv.pop(1))
    unittest.main(warnings="error")
