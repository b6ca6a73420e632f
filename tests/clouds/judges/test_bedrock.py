"""Bedrock's fake, judged by AWS's own clients: boto3 imports models and buys throughput, asks and deletes both, and reads every refusal
and every stream."""

import base64
import json
import os
import unittest
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

import aws_record
import service
from test_sagemaker import ACCOUNT, KEY, REGION, SECRET

ROLE = f"arn:aws:iam::{ACCOUNT}:role/imports"
SOURCE = {"s3DataSource": {"s3Uri": "s3://weights/llama/"}}
TAGS = [{"key": "roadstead.dev/install-id", "value": "prod"}]
CHAT = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}


def fault(operation, kind, times=1, **more):
    return {"service": "bedrock", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


class Case(unittest.TestCase):
    """A fake of its own for each test, judged by its record at the end."""

    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.api, self.runtime = self.client("bedrock"), self.client("bedrock-runtime")

    def tearDown(self):
        judge = aws_record.Judge({KEY: (SECRET, None)})
        judge.judge(self.fakes.requests())
        self.assertEqual(judge.faults, [])
        self.assertGreater(judge.signatures, 0)
        self.assertGreater(judge.inputs, 0)

    def client(self, name, region=REGION, key=KEY, secret=SECRET):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
        return boto3.client(
            name,
            region_name=region,
            endpoint_url=self.fakes.urls["bedrock"],
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=config,
        )

    def create(self, job="job", model="llama", **more):
        arguments = {"jobName": job, "importedModelName": model, "roleArn": ROLE, "modelDataSource": SOURCE, **more}
        return self.api.create_model_import_job(importedModelTags=TAGS, **arguments)["jobArn"]

    def imported(self, model="llama"):
        """The ARN of a new model."""
        self.create(f"job-{model}", model)
        self.fakes.advance(600)
        return self.api.get_imported_model(modelIdentifier=model)["modelArn"]

    def awake(self):
        """The ARN of a model with a copy that answers."""
        arn = self.imported()
        self.refused(429, "ModelNotReadyException", self.invoke, arn)
        self.fakes.advance(30)
        return arn

    def invoke(self, arn, body=None):
        answer = self.runtime.invoke_model(modelId=arn, body=json.dumps(body or CHAT))
        return json.loads(answer["body"].read())

    def refused(self, status, code, call, *arguments, **named):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(*arguments, **named)
        answer = caught.exception.response
        self.assertEqual((answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]), (status, code))
        return answer

    def place(self):
        return self.fakes.state()["bedrock"][0]


class Life(Case):
    def test_a_model_is_imported_asked_and_deleted(self):
        job = self.create()
        described = self.api.get_model_import_job(jobIdentifier=job)
        self.assertEqual((described["status"], described["importedModelName"]), ("InProgress", "llama"))
        self.assertNotIn("importedModelArn", described)
        self.refused(404, "ResourceNotFoundException", self.api.get_imported_model, modelIdentifier="llama")
        self.fakes.advance(600)
        described = self.api.get_model_import_job(jobIdentifier="job")
        arn = described["importedModelArn"]
        self.assertEqual((described["status"], described["roleArn"]), ("Completed", ROLE))
        model = self.api.get_imported_model(modelIdentifier=arn)
        self.assertEqual((model["jobArn"], model["modelDataSource"]), (job, SOURCE))
        self.assertEqual(model["customModelUnits"]["customModelUnitsPerModelCopy"], 2)
        self.assertEqual(self.place()["billedUnitWindows"], 0)
        self.refused(429, "ModelNotReadyException", self.invoke, arn)
        self.fakes.advance(30)
        self.assertEqual(self.invoke(arn)["object"], "chat.completion")
        self.assertEqual(self.invoke(arn, {"prompt": "hello"})["object"], "text_completion")
        self.fakes.advance(240)
        self.invoke(arn)
        self.fakes.advance(300)
        self.refused(429, "ModelNotReadyException", self.invoke, arn)
        # Nine minutes of a copy are two windows, each of two units.
        self.assertEqual(self.place()["billedUnitWindows"], 4)
        self.api.delete_imported_model(modelIdentifier=arn)
        self.refused(404, "ResourceNotFoundException", self.api.get_imported_model, modelIdentifier="llama")
        self.refused(404, "ResourceNotFoundException", self.invoke, arn)
        self.assertEqual(self.place()["models"], [])

    def test_a_stream_is_one_of_events(self):
        arn = self.awake()
        answer = self.runtime.invoke_model_with_response_stream(modelId=arn, body=json.dumps(CHAT))
        parts = [json.loads(event["chunk"]["bytes"]) for event in answer["body"]]
        self.assertGreater(len(parts), 1)
        self.assertEqual({part["object"] for part in parts}, {"chat.completion.chunk"})
        self.assertEqual(parts[-1]["choices"][0]["finish_reason"], "length")

    def test_listings_have_pages_and_filters(self):
        for number in range(12):
            self.create(f"job-{number}", f"llama-{number}")
        self.fakes.advance(600)
        self.create("last", "last")
        pages = self.api.get_paginator("list_imported_models").paginate()
        self.assertEqual(len([one for page in pages for one in page["modelSummaries"]]), 12)
        self.assertEqual(len(self.api.list_imported_models(nameContains="llama-1")["modelSummaries"]), 3)
        self.assertEqual(len(self.api.list_imported_models(maxResults=5)["modelSummaries"]), 5)
        running = self.api.list_model_import_jobs(statusEquals="InProgress")["modelImportJobSummaries"]
        self.assertEqual([job["jobName"] for job in running], ["last"])

    def test_models_have_tags(self):
        arn = self.imported()
        self.assertEqual(self.api.list_tags_for_resource(resourceARN=arn)["tags"], TAGS)
        self.api.tag_resource(resourceARN=arn, tags=[{"key": "k", "value": "v"}])
        self.assertIn({"key": "k", "value": "v"}, self.api.list_tags_for_resource(resourceARN=arn)["tags"])
        self.api.untag_resource(resourceARN=arn, tagKeys=["k"])
        self.assertEqual(self.api.list_tags_for_resource(resourceARN=arn)["tags"], TAGS)
        missing = arn[:-1] + "z"
        self.refused(404, "ResourceNotFoundException", self.api.list_tags_for_resource, resourceARN=missing)

    def test_another_region_shares_nothing(self):
        self.imported()
        other = self.client("bedrock", region="eu-west-1")
        self.assertEqual(other.list_imported_models()["modelSummaries"], [])

    def test_the_caller_is_told(self):
        self.assertEqual(self.client("sts").get_caller_identity()["Account"], ACCOUNT)
        self.api.list_imported_models()


class Refusals(Case):
    def test_a_token_makes_a_creation_once(self):
        first = self.create(clientRequestToken="token-1")
        self.assertEqual(self.create(clientRequestToken="token-1"), first)
        self.assertEqual(self.place()["jobs"], [{"name": "job", "model": "llama"}])

    def test_taken_names_are_conflicts(self):
        self.create()
        self.refused(400, "ConflictException", self.create, model="other")
        self.refused(400, "ConflictException", self.create, job="other")
        self.fakes.advance(600)
        self.refused(400, "ConflictException", self.create, job="other")

    def test_input_against_the_model_is_refused(self):
        self.create()
        self.refused(400, "ValidationException", self.create, job="a_b")
        source = {"s3DataSource": {"s3Uri": "https://weights"}}
        self.refused(400, "ValidationException", self.create, modelDataSource=source)

    def test_a_failed_import_says_why_and_leaves_nothing(self):
        self.fakes.script(fault("CreateModelImportJob", "failLate", afterSeconds=60, reason="architecture not supported"))
        job = self.create()
        self.fakes.advance(60)
        described = self.api.get_model_import_job(jobIdentifier=job)
        self.assertEqual((described["status"], described["failureMessage"]), ("Failed", "architecture not supported"))
        self.assertEqual((self.place()["models"], self.place()["jobs"]), ([], []))
        self.create("again")

    def test_wrong_keys_are_refused(self):
        self.api.list_imported_models()
        unknown = self.client("bedrock", key="AKIDNOBODY")
        self.refused(403, "UnrecognizedClientException", unknown.list_imported_models)
        wrong = self.client("bedrock", secret="another")
        self.refused(403, "InvalidSignatureException", wrong.list_imported_models)


class Faults(Case):
    def test_throttled_and_denied(self):
        self.api.list_imported_models()
        self.fakes.script(fault("ListImportedModels", "throttle", afterSeconds=7))
        answer = self.refused(429, "ThrottlingException", self.api.list_imported_models)
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"], "7")
        self.fakes.script(fault("ListImportedModels", "deny"))
        self.refused(403, "AccessDeniedException", self.api.list_imported_models)

    def test_a_lost_answer_has_its_effect(self):
        self.fakes.script(fault("CreateModelImportJob", "loseAnswer"))
        lost = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
        self.assertRaises(lost, self.create)
        self.assertEqual(self.api.get_model_import_job(jobIdentifier="job")["status"], "InProgress")

    def test_an_import_can_hang(self):
        self.fakes.script(fault("CreateModelImportJob", "stuck"))
        self.create()
        self.fakes.advance(86_400)
        self.assertEqual(self.api.get_model_import_job(jobIdentifier="job")["status"], "InProgress")

    def test_a_deleted_model_may_be_listed_for_a_while(self):
        arn = self.imported()
        self.fakes.script(fault("DeleteImportedModel", "linger", seconds=60))
        self.api.delete_imported_model(modelIdentifier=arn)
        self.assertEqual(len(self.api.list_imported_models()["modelSummaries"]), 1)
        self.fakes.advance(60)
        self.assertEqual(self.api.list_imported_models()["modelSummaries"], [])


class Tokens(Case):
    """Bearer tokens: presigned as the vendor's generator does, by botocore's own signer."""

    def token(self, life=900, region=REGION):
        request = botocore.awsrequest.AWSRequest(
            "POST", "https://bedrock.amazonaws.com/", headers={"host": "bedrock.amazonaws.com"}, params={"Action": "CallWithBearerToken"}
        )
        credentials = botocore.credentials.Credentials(KEY, SECRET)
        botocore.auth.SigV4QueryAuth(credentials, "bedrock", region, expires=life).add_auth(request)
        text = request.url.removeprefix("https://") + "&Version=1"
        return "bedrock-api-key-" + base64.b64encode(text.encode()).decode()

    def ask(self, arn, token):
        path = f"/model/{urllib.parse.quote(arn, safe='')}/invoke"
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        request = urllib.request.Request(self.fakes.urls["bedrock"] + path, json.dumps(CHAT).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def test_a_token_asks_a_model_until_it_expires(self):
        arn = self.awake()
        token = self.token()
        self.assertEqual(self.ask(arn, token)[0], 200)
        self.assertEqual(self.ask(arn, token[:-4])[0], 403)
        self.fakes.advance(901)
        self.assertEqual(self.ask(arn, token)[0], 403)


FOUNDATION = "meta.llama3-1-8b-instruct-v1:0:128k"


class Throughput(Case):
    def buy(self, name="llama", units=2, model=FOUNDATION, **more):
        answer = self.api.create_provisioned_model_throughput(
            provisionedModelName=name, modelUnits=units, modelId=model, tags=TAGS, **more
        )
        return answer["provisionedModelArn"]

    def talk(self, call, arn, **more):
        messages = [{"role": "user", "content": [{"text": "hello"}]}]
        return call(modelId=arn, messages=messages, inferenceConfig={"maxTokens": 4}, **more)

    def get(self, identifier):
        return self.api.get_provisioned_model_throughput(provisionedModelId=identifier)

    def test_throughput_is_bought_asked_and_given_back(self):
        arn = self.buy()
        self.assertEqual(self.get("llama")["status"], "Creating")
        self.refused(400, "ValidationException", self.talk, self.runtime.converse, arn)
        self.fakes.advance(600)
        described = self.get(arn)
        self.assertEqual((described["status"], described["modelUnits"]), ("InService", 2))
        self.assertNotIn("commitmentDuration", described)
        told = self.talk(self.runtime.converse, arn, system=[{"text": "Be brief."}])
        self.assertEqual((told["stopReason"], told["usage"]["outputTokens"]), ("max_tokens", 4))
        self.assertTrue(told["output"]["message"]["content"][0]["text"])
        self.fakes.advance(3600)
        self.assertEqual(self.place()["billedUnitHours"], 4)
        self.api.delete_provisioned_model_throughput(provisionedModelId=arn)
        self.refused(404, "ResourceNotFoundException", self.get, "llama")
        self.refused(404, "ResourceNotFoundException", self.talk, self.runtime.converse, arn)
        self.assertEqual(self.place()["throughputs"], [])

    def test_a_stream_has_the_events_of_a_conversation(self):
        arn = self.buy()
        self.fakes.advance(600)
        parts = list(self.talk(self.runtime.converse_stream, arn)["stream"])
        names = [next(iter(part)) for part in parts]
        self.assertEqual((names[0], names[-3:]), ("messageStart", ["contentBlockStop", "messageStop", "metadata"]))
        self.assertEqual(set(names[1:-3]), {"contentBlockDelta"})
        self.assertEqual(parts[-2]["messageStop"]["stopReason"], "max_tokens")
        self.assertEqual(parts[-1]["metadata"]["usage"]["outputTokens"], 4)

    def test_throughputs_are_listed_with_tags(self):
        arns = [self.buy(f"llama-{number}") for number in range(12)]
        pages = self.api.get_paginator("list_provisioned_model_throughputs").paginate()
        self.assertEqual(len([one for page in pages for one in page["provisionedModelSummaries"]]), 12)
        some = self.api.list_provisioned_model_throughputs(nameContains="llama-1", statusEquals="Creating")
        self.assertEqual(len(some["provisionedModelSummaries"]), 3)
        self.assertEqual(self.api.list_tags_for_resource(resourceARN=arns[0])["tags"], TAGS)
        tagging = self.client("resourcegroupstaggingapi")
        rows = tagging.get_resources(ResourceTypeFilters=["bedrock:provisioned-model"])["ResourceTagMappingList"]
        self.assertEqual({row["ResourceARN"] for row in rows}, set(arns))

    def test_a_change_of_the_model_takes_a_while(self):
        arn = self.buy()
        change = {"provisionedModelId": arn, "desiredModelId": FOUNDATION}
        self.refused(400, "ValidationException", self.api.update_provisioned_model_throughput, **change)
        self.fakes.advance(600)
        self.api.update_provisioned_model_throughput(**change)
        self.assertEqual(self.get(arn)["status"], "Updating")
        delete = self.api.delete_provisioned_model_throughput
        self.refused(400, "ConflictException", delete, provisionedModelId=arn)
        self.talk(self.runtime.converse, arn)
        self.fakes.advance(600)
        delete(provisionedModelId=arn)

    def test_refusals(self):
        first = self.buy(clientRequestToken="token-1")
        self.assertEqual(self.buy(clientRequestToken="token-1"), first)
        self.refused(400, "ValidationException", self.buy)
        self.refused(400, "ValidationException", self.buy, "other", model="acme.unknown-v1:0")
        self.refused(400, "ServiceQuotaExceededException", self.buy, "other", units=100_000)
        self.fakes.advance(600)
        two = [{"role": "user", "content": [{"text": "a"}]}] * 2
        self.refused(400, "ValidationException", self.runtime.converse, modelId=first, messages=two)
        self.fakes.script(fault("CreateProvisionedModelThroughput", "failLate", afterSeconds=60, reason="no capacity"))
        self.buy("failing")
        self.fakes.advance(60)
        described = self.get("failing")
        self.assertEqual((described["status"], described["failureMessage"]), ("Failed", "no capacity"))


class Planted(unittest.TestCase):
    """The judge of records finds what is planted in a request whose members are in path, query and body."""

    def faults(self, **changes):
        good = {
            "number": 1,
            "service": "bedrock",
            "operation": "GetImportedModel",
            "method": "GET",
            "target": "/imported-models/llama",
            "headers": [["host", "localhost"]],
            "body": "",
            "status": 404,
            "answer": "{}",
            "fault": None,
            "rules": [],
        }
        judge = aws_record.Judge({KEY: (SECRET, None)})
        judge.judge([{**good, **changes}])
        return " ".join(judge.faults)

    def test_every_planted_fault_is_found(self):
        self.assertEqual(self.faults(), "")
        self.assertIn("does not match", self.faults(target="/imported-models/a%20b"))
        self.assertIn("Unknown parameter", self.faults(method="POST"))
        self.assertIn("Unknown parameter", self.faults(target="/imported-models/llama?other=1"))
        listed = {"operation": "ListImportedModels", "target": "/imported-models?maxResults=0"}
        self.assertIn("valid min value: 1", self.faults(**listed))
        answer = '{"modelSummaries": [{"modelArn": "arn", "modelName": "m", "creationTime": "2026-12-01T00:00:00Z"}]}'
        self.assertIn("does not match", self.faults(**{**listed, "target": "/imported-models", "status": 200, "answer": answer}))


if __name__ == "__main__":
    unittest.main()
