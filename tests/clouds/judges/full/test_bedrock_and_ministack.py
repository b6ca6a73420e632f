"""The lives of an imported model and of provisioned throughput on the fake of Bedrock and on ministack: both must take them, and the
differences must be the known ones.

ministack has no clock: what it makes is there at once, so the clock of the fake is set forward after each step.
"""

import os
import unittest

import emulators
import service
from emulators import refusal

REGION = "us-east-1"
ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/imports"
SOURCE = {"s3DataSource": {"s3Uri": "s3://weights/llama/"}}
TAGS = [{"key": "roadstead.dev/install-id", "value": "prod"}]
FOUNDATION = "meta.llama3-1-8b-instruct-v1:0:128k"


class Place:
    """One service with clients for it."""

    def __init__(self, url, advance):
        self.url, self.advance = url, advance
        self.api = emulators.client(url, "bedrock", REGION)

    def create(self, job="job", model="llama", **more):
        """The ARN of a new job."""
        return self.api.create_model_import_job(
            jobName=job, importedModelName=model, roleArn=ROLE, modelDataSource=SOURCE, importedModelTags=TAGS, **more
        )["jobArn"]

    def imported(self):
        """The ARN of a new model."""
        self.create()
        self.advance(600)
        return self.model()["modelArn"]

    def job(self, identifier="job"):
        return self.api.get_model_import_job(jobIdentifier=identifier)

    def jobs(self):
        return self.api.list_model_import_jobs()["modelImportJobSummaries"]

    def model(self, identifier="llama"):
        return self.api.get_imported_model(modelIdentifier=identifier)

    def buy(self, name="llama", model=FOUNDATION, **more):
        """The ARN of a new throughput."""
        return self.api.create_provisioned_model_throughput(
            provisionedModelName=name, modelUnits=2, modelId=model, tags=TAGS, **more
        )["provisionedModelArn"]

    def throughput(self, identifier):
        return self.api.get_provisioned_model_throughput(provisionedModelId=identifier)

    def throughputs(self, **filters):
        return self.api.list_provisioned_model_throughputs(**filters)["provisionedModelSummaries"]

    def tags(self, arn):
        return self.api.list_tags_for_resource(resourceARN=arn)["tags"]


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # With workers it would be several processes; with IOT_MTLS_ENABLED it would listen on a port of every address.
        settings = {"IOT_MTLS_ENABLED": "0", "MINISTACK_ACCOUNT_ID": ACCOUNT, "PERSIST_STATE": "0"}
        arguments = ("ministack.app:app", "--workers", "0", "--bind", "127.0.0.1:{port}")
        cls.ministack = emulators.Emulator("hypercorn", *arguments, reset="/_ministack/reset", **settings)
        cls.addClassCleanup(cls.ministack.end)
        cls.ministack.wait()

    def of_fake(self):
        fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(fakes.end)
        return Place(fakes.urls["bedrock"], fakes.advance)

    def of_ministack(self):
        self.ministack.reset()
        return Place(self.ministack.url, lambda seconds: None)


class Both(Case):
    def tagged(self, place, arn):
        """Tags that are added later are shown and taken away."""
        later = {"key": "later", "value": "v"}
        place.api.tag_resource(resourceARN=arn, tags=[later])
        self.assertIn(later, place.tags(arn))
        place.api.untag_resource(resourceARN=arn, tagKeys=["later"])
        self.assertNotIn(later, place.tags(arn))

    def imports(self, place):
        job = place.create()
        self.assertEqual(job.rpartition("/")[0], f"arn:aws:bedrock:{REGION}:{ACCOUNT}:model-import-job")
        for named in (job, "job"):
            shown = place.job(named)
            self.assertEqual((shown["jobArn"], shown["jobName"], shown["importedModelName"]), (job, "job", "llama"))
            self.assertEqual((shown["roleArn"], shown["modelDataSource"], shown["status"]), (ROLE, SOURCE, "InProgress"))
        self.assertEqual([one["jobArn"] for one in place.jobs()], [job])
        place.advance(600)
        arn = place.model()["modelArn"]
        self.assertEqual(arn.rpartition("/")[0], f"arn:aws:bedrock:{REGION}:{ACCOUNT}:imported-model")
        shown = place.model(arn)
        self.assertEqual((shown["modelName"], shown["jobName"], shown["jobArn"]), ("llama", "job", job))
        self.assertEqual([one["modelArn"] for one in place.api.list_imported_models()["modelSummaries"]], [arn])
        self.tagged(place, arn)
        place.api.delete_imported_model(modelIdentifier=arn)
        self.assertEqual(place.api.list_imported_models()["modelSummaries"], [])
        for call in (place.api.get_imported_model, place.api.delete_imported_model):
            gone = refusal(call, modelIdentifier="llama")
            self.assertTrue(gone.startswith("ResourceNotFoundException"), gone)

    def throughput(self, place):
        arn = place.buy()
        self.assertEqual(arn.rpartition("/")[0], f"arn:aws:bedrock:{REGION}:{ACCOUNT}:provisioned-model")
        place.advance(600)
        shown = place.throughput(arn)
        self.assertEqual((shown["provisionedModelName"], shown["status"]), ("llama", "InService"))
        self.assertEqual((shown["modelUnits"], shown["desiredModelUnits"]), (2, 2))
        self.assertEqual(shown["modelArn"], f"arn:aws:bedrock:{REGION}::foundation-model/{FOUNDATION}")
        self.assertEqual(shown["desiredModelArn"], shown["modelArn"])
        self.assertNotIn("commitmentDuration", shown)
        self.assertEqual([one["provisionedModelArn"] for one in place.throughputs()], [arn])
        self.tagged(place, arn)
        place.api.update_provisioned_model_throughput(provisionedModelId=arn, desiredProvisionedModelName="other")
        self.assertEqual(place.throughput(arn)["provisionedModelName"], "other")
        place.advance(600)
        place.api.delete_provisioned_model_throughput(provisionedModelId=arn)
        self.assertEqual(place.throughputs(), [])
        for call in (place.api.get_provisioned_model_throughput, place.api.delete_provisioned_model_throughput):
            gone = refusal(call, provisionedModelId=arn)
            self.assertTrue(gone.startswith("ResourceNotFoundException"), gone)

    def test_imports_at_the_fake(self):
        self.imports(self.of_fake())

    def test_imports_at_ministack(self):
        self.imports(self.of_ministack())

    def test_throughput_at_the_fake(self):
        self.throughput(self.of_fake())

    def test_throughput_at_ministack(self):
        self.throughput(self.of_ministack())


def model_of_a_job(place):
    place.create()
    return place.job()["status"], refusal(place.model)


def end_of_a_job(place):
    place.imported()
    job = place.job()
    return job["status"], "importedModelArn" in job


def same_token(place):
    first = place.create(clientRequestToken="token-1")
    again = place.create(clientRequestToken="token-1")
    bought = place.buy(clientRequestToken="token-2")
    return again == first, place.buy(clientRequestToken="token-2") == bought


def taken_names(place):
    place.imported()
    place.buy()
    return refusal(place.create), refusal(place.buy)


def tags_of_creation(place):
    return place.tags(place.imported()), place.tags(place.buy())


def source_of_a_model(place):
    return place.model(place.imported()).get("modelDataSource")


def purchase(place):
    return place.throughput(place.buy())["status"]


def by_name(place):
    place.buy()
    return refusal(place.throughput, identifier="llama")


def unknown_model(place):
    return refusal(place.buy, model="acme.unknown-v1:0")


def filtered(place):
    place.buy()
    return len(place.throughputs(nameContains="other"))


def found_by_tags(place):
    place.buy()
    tagging = emulators.client(place.url, "resourcegroupstaggingapi", REGION)
    return len(tagging.get_resources(ResourceTypeFilters=["bedrock:provisioned-model"])["ResourceTagMappingList"])


def asked_after_deletion(place):
    arn = place.buy()
    place.api.delete_provisioned_model_throughput(provisionedModelId=arn)
    runtime = emulators.client(place.url, "bedrock-runtime", REGION)
    return refusal(runtime.converse, modelId=arn, messages=[{"role": "user", "content": [{"text": "hello"}]}])


def unknown_key(place):
    return refusal(emulators.client(place.url, "bedrock", REGION, key="AKIDNOBODY").list_imported_models)


ROWS = [
    ("ministack-imports-at-once", model_of_a_job, ("InProgress", "ResourceNotFoundException"), ("InProgress", None)),
    ("ministack-jobs-never-end", end_of_a_job, ("Completed", True), ("InProgress", False)),
    ("ministack-ignores-request-tokens", same_token, (True, True), (False, False)),
    ("ministack-takes-taken-names", taken_names, ("ConflictException", "ValidationException"), (None, None)),
    ("ministack-loses-tags", tags_of_creation, (TAGS, TAGS), ([], [])),
    ("ministack-hides-sources", source_of_a_model, SOURCE, None),
    ("ministack-serves-at-once", purchase, "Creating", "InService"),
    ("ministack-knows-throughput-by-arn", by_name, None, "ResourceNotFoundException"),
    ("ministack-sells-any-model", unknown_model, "ValidationException", None),
    ("ministack-ignores-filters", filtered, 0, 1),
    ("ministack-finds-no-tags", found_by_tags, 1, 0),
    ("ministack-answers-for-deleted", asked_after_deletion, "ResourceNotFoundException", None),
    ("ministack-takes-any-key", unknown_key, "UnrecognizedClientException", None),
]


class Differences(emulators.Table, Case):
    def test_the_table(self):
        self.check(ROWS, self.of_fake, self.of_ministack)
