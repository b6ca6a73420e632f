"""The life of an endpoint on the fake of SageMaker and on moto: both must take it, and the differences must be the known ones.

moto's endpoints are in service at once, so the clock of the fake is set forward after each step.
"""

import os
import unittest

import emulators
import service
from emulators import refusal

REGION = "eu-west-1"
ROLE = "arn:aws:iam::123456789012:role/roadstead"
TAGS = [{"Key": "roadstead.dev/install-id", "Value": "prod"}]
TYPE = "ml.g4dn.xlarge"


class Place:
    """One service with clients for it."""

    def __init__(self, url, advance):
        self.url, self.advance = url, advance
        self.api = emulators.client(url, "sagemaker", REGION)
        self.tagging = emulators.client(url, "resourcegroupstaggingapi", REGION)

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


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.moto = emulators.moto()
        cls.addClassCleanup(cls.moto.end)
        cls.moto.wait()

    def of_fake(self):
        fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(fakes.end)
        return Place(fakes.urls["sagemaker"], fakes.advance)

    def of_moto(self):
        self.moto.reset()
        return Place(self.moto.url, lambda seconds: None)


class Both(Case):
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
        gone = refusal(place.state)
        self.assertTrue(gone.startswith("ValidationException: Could not find endpoint"), gone)
        place.api.delete_endpoint_config(EndpointConfigName="c")
        place.api.delete_model(ModelName="m")
        self.assertEqual(place.api.list_models()["Models"], [])

    def test_the_fake(self):
        self.life(self.of_fake())

    def test_moto(self):
        self.life(self.of_moto())


def at_once(place):
    place.model()
    place.config()
    place.endpoint()
    return place.state()


def taken_name(place):
    place.make()
    return refusal(place.endpoint, tags=[]), place.tagged()


def busy(place):
    place.model()
    place.config()
    place.endpoint()
    return refusal(place.api.delete_endpoint, EndpointName="e")


def new_types(place):
    place.model()
    return refusal(place.config, instance_type="ml.p5.48xlarge")


def updated(place):
    place.make()
    place.config("other")
    return refusal(place.api.update_endpoint, EndpointName="e", EndpointConfigName="other")


def unknown_key(place):
    return refusal(emulators.client(place.url, "sagemaker", REGION, key="AKIDNOBODY").list_endpoints)


ROWS = [
    ("moto-serves-at-once", at_once, "Creating", "InService"),
    (
        "moto-replaces-names",
        taken_name,
        ("ValidationException: Cannot create already existing endpoint", ["e"]),
        (None, []),
    ),
    ("moto-deletes-busy", busy, "ValidationException: Cannot update in-progress endpoint", None),
    ("moto-knows-old-types", new_types, None, "ValidationException: Value 'ml.p5.48xlarge' at 'instanceType"),
    ("moto-updates-nothing", updated, None, "500: <!doctype html>"),
    ("moto-takes-any-key", unknown_key, "UnrecognizedClientException", None),
]


class Differences(emulators.Table, Case):
    def test_the_table(self):
        self.check(ROWS, self.of_fake, self.of_moto)
