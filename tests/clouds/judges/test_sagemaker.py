"""SageMaker's fake, judged by AWS's own client: boto3 runs the whole life of an endpoint and reads every refusal."""

import base64
import json
import os
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

import aws_record
import reduce
import service

KEY, SECRET, ACCOUNT, REGION = "AKIDCLOUDS", "secret-of-the-fake", "123456789012", "eu-central-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/roadstead"
TAGS = [{"Key": "roadstead.dev/install-id", "Value": "prod"}]
TYPE = "ml.g6e.12xlarge"
SOON = {"Delay": 0, "MaxAttempts": 1}


def fault(operation, kind, times=1, **more):
    return {"service": "sagemaker", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


class Case(unittest.TestCase):
    """A fake of its own for each test, judged by its record at the end."""

    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.api = self.client("sagemaker")

    def tearDown(self):
        judge = aws_record.Judge({KEY: (SECRET, None)})
        judge.judge(self.fakes.requests())
        self.assertEqual(judge.faults, [])
        self.assertGreater(judge.signatures, 0)

    def client(self, name, region=REGION, key=KEY, secret=SECRET, token=None):
        config = botocore.config.Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5)
        return boto3.client(
            name,
            region_name=region,
            endpoint_url=self.fakes.urls["sagemaker"],
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=config,
        )

    def model(self, name="m"):
        container = {"Image": "vllm", "Environment": {"SM_VLLM_MODEL": "org/m", "SM_VLLM_SERVED_MODEL_NAME": "llama"}}
        return self.api.create_model(ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container, Tags=TAGS)

    def config(self, name="c", model="m", count=2, instance_type=TYPE):
        variant = {
            "VariantName": "main",
            "ModelName": model,
            "InstanceType": instance_type,
            "InitialInstanceCount": count,
            "InitialVariantWeight": 1.0,
        }
        return self.api.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant], Tags=TAGS)

    def endpoint(self, name="e", config="c"):
        return self.api.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=TAGS)

    def status(self, name="e"):
        return self.api.describe_endpoint(EndpointName=name)["EndpointStatus"]

    def ready(self):
        self.model()
        self.config()
        self.endpoint()
        self.fakes.advance(300)

    def refused(self, code, text, call, **arguments):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**arguments)
        error = caught.exception.response["Error"]
        self.assertEqual(error["Code"], code)
        self.assertIn(text, error["Message"])
        return caught.exception.response


class Life(Case):
    def test_an_endpoint_is_created_serves_is_updated_and_deleted(self):
        self.model()
        self.config()
        self.assertEqual(self.endpoint()["EndpointArn"], f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:endpoint/e")
        described = self.api.describe_endpoint(EndpointName="e")
        self.assertEqual(described["EndpointStatus"], "Creating")
        self.assertEqual(described["PendingDeploymentSummary"]["EndpointConfigName"], "c")
        self.assertNotIn("ProductionVariants", described)
        with self.assertRaises(botocore.exceptions.WaiterError):
            self.api.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
        self.fakes.advance(300)
        self.api.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
        variant = self.api.describe_endpoint(EndpointName="e")["ProductionVariants"][0]
        self.assertEqual((variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]), (2, 2))

        self.config("c2", count=3)
        self.api.update_endpoint(EndpointName="e", EndpointConfigName="c2")
        described = self.api.describe_endpoint(EndpointName="e")
        self.assertEqual((described["EndpointStatus"], described["EndpointConfigName"]), ("Updating", "c"))
        self.assertEqual(described["PendingDeploymentSummary"]["EndpointConfigName"], "c2")
        self.fakes.advance(300)
        self.assertEqual(self.api.describe_endpoint(EndpointName="e")["EndpointConfigName"], "c2")

        self.api.update_endpoint(EndpointName="e", EndpointConfigName="c", RetainAllVariantProperties=True)
        self.fakes.advance(300)
        described = self.api.describe_endpoint(EndpointName="e")
        self.assertEqual(described["EndpointConfigName"], "c")
        self.assertEqual(described["ProductionVariants"][0]["DesiredInstanceCount"], 3, "not the two of the configuration")

        wish = [{"VariantName": "main", "DesiredInstanceCount": 1}]
        self.api.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wish)
        variant = self.api.describe_endpoint(EndpointName="e")["ProductionVariants"][0]
        self.assertEqual((variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]), (3, 1))
        self.fakes.advance(300)

        self.api.delete_endpoint(EndpointName="e")
        self.assertEqual(self.status(), "Deleting")
        self.fakes.advance(60)
        self.api.get_waiter("endpoint_deleted").wait(EndpointName="e", WaiterConfig=SOON)
        for name in ("c", "c2"):
            self.api.delete_endpoint_config(EndpointConfigName=name)
        self.api.delete_model(ModelName="m")
        place = self.fakes.state()["sagemaker"][0]
        self.assertEqual((place["endpoints"], place["configs"], place["models"]), ([], [], []))
        # Two instances for 300 s, three while the updates and the scaling ran, one until it was gone.
        self.assertEqual(place["billedInstanceSeconds"], 2 * 300 + 3 * 300 + 3 * 300 + 3 * 300 + 60)

    def test_listings_have_pages_filters_and_tags(self):
        self.model()
        self.config()
        for number in range(23):
            self.endpoint(f"e-{number:02}")
        pages = self.api.get_paginator("list_endpoints").paginate()
        self.assertEqual(len([one for page in pages for one in page["Endpoints"]]), 23)
        self.assertEqual(len(self.api.list_endpoints(NameContains="-1")["Endpoints"]), 10)
        self.assertEqual(self.api.list_endpoints(StatusEquals="InService")["Endpoints"], [])
        self.assertEqual(len(self.api.list_models()["Models"]), 1)
        self.assertEqual(len(self.api.list_endpoint_configs()["EndpointConfigs"]), 1)
        arn = self.api.describe_endpoint(EndpointName="e-00")["EndpointArn"]
        self.assertEqual(self.api.list_tags(ResourceArn=arn)["Tags"], TAGS)
        self.api.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "v"}])
        tagging = self.client("resourcegroupstaggingapi")
        filters = [{"Key": "k", "Values": ["v"]}]
        found = tagging.get_resources(TagFilters=filters, ResourceTypeFilters=["sagemaker:endpoint"])
        self.assertEqual([one["ResourceARN"] for one in found["ResourceTagMappingList"]], [arn])
        pages = tagging.get_paginator("get_resources").paginate(
            TagFilters=[{"Key": TAGS[0]["Key"], "Values": ["prod"]}], PaginationConfig={"PageSize": 10}
        )
        self.assertEqual(sum(len(page["ResourceTagMappingList"]) for page in pages), 25)
        self.api.delete_tags(ResourceArn=arn, TagKeys=["k"])
        self.assertEqual(tagging.get_resources(TagFilters=filters)["ResourceTagMappingList"], [])

    def test_another_region_and_another_account_share_nothing(self):
        self.ready()
        other = self.client("sagemaker", region="eu-west-1")
        self.assertEqual(other.list_endpoints()["Endpoints"], [])
        self.refused("ValidationException", "Could not find endpoint", other.describe_endpoint, EndpointName="e")


class Refusals(Case):
    def test_what_is_missing_is_not_found(self):
        for call, arguments in [
            (self.api.describe_endpoint, {"EndpointName": "e"}),
            (self.api.delete_endpoint, {"EndpointName": "e"}),
            (self.api.update_endpoint, {"EndpointName": "e", "EndpointConfigName": "c"}),
            (self.api.describe_endpoint_config, {"EndpointConfigName": "c"}),
            (self.api.describe_model, {"ModelName": "m"}),
            (self.endpoint, {}),
            (self.config, {}),
        ]:
            self.refused("ValidationException", "Could not find", call, **arguments)

    def test_a_taken_name_is_refused(self):
        self.ready()
        for call in (self.model, self.config, self.endpoint):
            self.refused("ValidationException", "Cannot create already existing", call)

    def test_a_busy_endpoint_is_neither_updated_nor_deleted(self):
        self.model()
        self.config()
        self.config("c2")
        self.endpoint()
        busy = ("ValidationException", "Cannot update in-progress endpoint")
        self.refused(*busy, self.api.delete_endpoint, EndpointName="e")
        self.refused(*busy, self.api.update_endpoint, EndpointName="e", EndpointConfigName="c2")
        self.fakes.advance(300)
        self.api.delete_endpoint(EndpointName="e")
        self.refused(*busy, self.api.delete_endpoint, EndpointName="e")

    def test_an_update_needs_the_former_configuration(self):
        self.ready()
        self.config("c2")
        self.api.delete_endpoint_config(EndpointConfigName="c")
        text = "Could not find endpoint configuration"
        self.refused("ValidationException", text, self.api.update_endpoint, EndpointName="e", EndpointConfigName="c2")

    def test_a_quota_is_refused_at_once_and_nothing_is_made(self):
        self.model()
        self.config(count=20_001)
        self.refused("ResourceLimitExceeded", f"'{TYPE} for endpoint usage' is 20000 Instances", self.endpoint)
        self.assertEqual(self.fakes.state()["sagemaker"][0]["endpoints"], [])

    def test_zero_instances_are_refused(self):
        self.ready()
        wish = [{"VariantName": "main", "DesiredInstanceCount": 0}]
        call = self.api.update_endpoint_weights_and_capacities
        self.refused("ValidationException", "at least 1", call, EndpointName="e", DesiredWeightsAndCapacities=wish)

    def test_input_against_the_model_is_refused(self):
        self.refused("ValidationException", "regular expression", self.endpoint, name="a_b")
        self.model()
        self.refused("ValidationException", "enum value set", self.config, instance_type="ml.none.large")

    def test_wrong_keys_are_refused(self):
        unknown = self.client("sagemaker", key="AKIDNOBODY")
        self.refused("UnrecognizedClientException", "invalid", unknown.list_endpoints)
        wrong = self.client("sagemaker", secret="another")
        self.refused("InvalidSignatureException", "does not match", wrong.list_endpoints)
        self.assertEqual(self.api.list_endpoints()["Endpoints"], [])

    def test_a_failed_endpoint_can_only_be_deleted(self):
        self.model()
        self.config()
        self.fakes.script(fault("CreateEndpoint", "failLate", afterSeconds=360, reason="no capacity"))
        self.endpoint()
        self.assertEqual(self.status(), "Creating")
        self.fakes.advance(360)
        described = self.api.describe_endpoint(EndpointName="e")
        self.assertEqual((described["EndpointStatus"], described["FailureReason"]), ("Failed", "no capacity"))
        call = self.api.update_endpoint
        self.refused("ValidationException", "failed", call, EndpointName="e", EndpointConfigName="c")
        with self.assertRaises(botocore.exceptions.WaiterError):
            self.api.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig=SOON)
        self.assertEqual(self.fakes.state()["sagemaker"][0]["billedInstanceSeconds"], 0)
        self.api.delete_endpoint(EndpointName="e")


class Faults(Case):
    def test_throttled_denied_and_html(self):
        self.api.list_endpoints()
        call = self.api.list_endpoints
        self.fakes.script(fault("ListEndpoints", "throttle", afterSeconds=7))
        answer = self.refused("ThrottlingException", "Rate exceeded", call)
        self.assertEqual(answer["ResponseMetadata"]["HTTPHeaders"]["retry-after"], "7")
        self.fakes.script(fault("ListEndpoints", "deny"))
        self.refused("AccessDeniedException", "not authorized to perform: sagemaker:ListEndpoints", call)
        self.fakes.script(fault("ListEndpoints", "html", status=502))
        with self.assertRaises((botocore.exceptions.ClientError, botocore.parsers.ResponseParserError)):
            call()
        self.fakes.script(fault("ListEndpoints", "reject", status=500, code="InternalFailure", message="sorry"))
        self.refused("InternalFailure", "sorry", call)

    def test_a_lost_request_makes_nothing_and_a_lost_answer_does(self):
        self.model()
        self.config()
        lost = (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError)
        self.fakes.script(fault("CreateEndpoint", "loseRequest"))
        self.assertRaises(lost, self.endpoint)
        self.refused("ValidationException", "Could not find", self.api.describe_endpoint, EndpointName="e")
        self.fakes.script(fault("CreateEndpoint", "loseAnswer"))
        self.assertRaises(lost, self.endpoint)
        self.assertEqual(self.status(), "Creating")

    def test_a_request_delivered_twice_is_refused_the_second_time(self):
        self.model()
        self.config()
        self.fakes.script(fault("CreateEndpoint", "twice"))
        self.refused("ValidationException", "Cannot create already existing", self.endpoint)
        self.assertEqual(len(self.fakes.state()["sagemaker"][0]["endpoints"]), 1)

    def test_new_things_are_visible_late_and_old_ones_long(self):
        self.model()
        self.fakes.script(fault("CreateEndpointConfig", "hide", seconds=30, hidden="everywhere"))
        self.config()
        self.refused("ValidationException", "Could not find endpoint configuration", self.endpoint)
        self.fakes.advance(30)
        self.fakes.script(fault("CreateEndpoint", "hide", seconds=30, hidden="fromLists"))
        self.endpoint()
        self.assertEqual((self.status(), self.api.list_endpoints()["Endpoints"]), ("Creating", []))
        self.fakes.advance(300)
        self.assertEqual(len(self.api.list_endpoints()["Endpoints"]), 1)
        self.fakes.script(fault("DeleteEndpoint", "linger", seconds=90))
        self.api.delete_endpoint(EndpointName="e")
        self.fakes.advance(60)
        self.refused("ValidationException", "Could not find", self.api.describe_endpoint, EndpointName="e")
        self.assertEqual(len(self.api.list_endpoints()["Endpoints"]), 1)
        self.fakes.advance(90)
        self.assertEqual(self.api.list_endpoints()["Endpoints"], [])

    def test_creations_and_deletions_can_hang(self):
        self.model()
        self.config()
        self.fakes.script(fault("CreateEndpoint", "stuck"))
        self.endpoint()
        self.fakes.advance(86_400)
        self.assertEqual(self.status(), "Creating")
        self.endpoint("e2")
        self.fakes.advance(300)
        self.fakes.script(fault("DeleteEndpoint", "stuck"))
        self.api.delete_endpoint(EndpointName="e2")
        self.fakes.advance(86_400)
        self.assertEqual(self.status("e2"), "Deleting")

    def test_a_failed_deletion_can_be_asked_for_again(self):
        self.ready()
        self.fakes.script(fault("DeleteEndpoint", "failLate", afterSeconds=60, reason="bad"))
        self.api.delete_endpoint(EndpointName="e")
        self.assertEqual(self.status(), "Deleting")
        self.fakes.advance(60)
        described = self.api.describe_endpoint(EndpointName="e")
        self.assertEqual((described["EndpointStatus"], described["FailureReason"]), ("Failed", "bad"))
        self.api.delete_endpoint(EndpointName="e")
        self.fakes.advance(3600)
        self.refused("ValidationException", "Could not find", self.api.describe_endpoint, EndpointName="e")

    def test_a_failed_update_rolls_back_or_not(self):
        self.ready()
        self.config("c2")
        for leaves, status in [("rolledBack", "InService"), ("rollbackFailed", "UpdateRollbackFailed")]:
            self.fakes.script(fault("UpdateEndpoint", "failLate", afterSeconds=60, reason="bad", leaves=leaves))
            self.api.update_endpoint(EndpointName="e", EndpointConfigName="c2")
            self.fakes.advance(60)
            described = self.api.describe_endpoint(EndpointName="e")
            seen = (described["EndpointStatus"], described["FailureReason"], described["EndpointConfigName"])
            self.assertEqual(seen, (status, "bad", "c"))

    def test_a_state_that_no_client_knows(self):
        self.ready()
        self.fakes.script(fault("DescribeEndpoint", "status", value="Hibernating"))
        self.assertEqual(self.status(), "Hibernating")


class Traffic(Case):
    CHAT = {"model": "llama", "messages": [{"role": "user", "content": "hello there"}]}

    def token(self, seconds=3600, key=KEY, secret=SECRET, session=None):
        """A bearer token as AWS's generator makes it: a presigned call, by botocore's signer."""
        credentials = botocore.credentials.Credentials(key, secret, session)
        url = "https://sagemaker.amazonaws.com/?Action=CallWithBearerToken"
        request = botocore.awsrequest.AWSRequest("POST", url, headers={"host": "sagemaker.amazonaws.com"})
        botocore.auth.SigV4QueryAuth(credentials, "sagemaker", REGION, expires=seconds).add_auth(request)
        text = request.url.removeprefix("https://") + "&Version=1"
        return "sagemaker-api-key-" + base64.b64encode(text.encode()).decode()

    def chat(self, token, path="chat/completions", **more):
        url = f"{self.fakes.urls['sagemaker']}/endpoints/e/openai/v1/{path}"
        request = urllib.request.Request(url, json.dumps({**self.CHAT, **more}).encode())
        request.add_header("authorization", f"Bearer {token}")
        request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def test_the_classic_route_answers_once_the_endpoint_is_in_service(self):
        runtime = self.client("sagemaker-runtime")
        invoke = {"EndpointName": "e", "ContentType": "application/json", "Body": json.dumps(self.CHAT)}
        self.model()
        self.config()
        self.endpoint()
        self.refused("ValidationError", "not found", runtime.invoke_endpoint, **invoke)
        self.fakes.advance(300)
        answer = json.load(runtime.invoke_endpoint(**invoke)["Body"])
        self.assertEqual(answer["choices"][0]["message"]["role"], "assistant")
        invoke["Body"] = json.dumps({**self.CHAT, "model": "other"})
        self.refused("ModelError", "404", runtime.invoke_endpoint, **invoke)

    def test_the_route_of_openai_takes_tokens_and_only_chats(self):
        self.ready()
        status, body = self.chat(self.token())
        self.assertEqual((status, json.loads(body)["object"]), (200, "chat.completion"))
        status, body = self.chat(self.token(), stream=True)
        self.assertTrue(status == 200 and body.rstrip().endswith("data: [DONE]"), body)
        self.assertEqual(self.chat(self.token(), model="")[0], 200)
        for path in ("models", "completions"):
            self.assertEqual(self.chat(self.token(), path)[0], 404)
        for token in ("hf_x", self.token(secret="another"), self.token(key="AKIDNOBODY")):
            status, body = self.chat(token)
            self.assertEqual(status, 403)
            self.assertIn("message", json.loads(body)["error"])

    def test_a_token_expires(self):
        self.ready()
        token = self.token(seconds=7200)
        self.fakes.advance(3600)
        self.assertEqual(self.chat(token)[0], 200)
        self.fakes.advance(7200)
        self.assertEqual(self.chat(token)[0], 403)

    def test_a_stream_can_be_cut(self):
        self.ready()
        self.fakes.script(fault("CallWithBearerToken", "cut", bytes=40))
        with self.assertRaises(Exception):
            self.chat(self.token(), stream=True)


class Identity(Case):
    def test_a_caller_has_an_account(self):
        self.assertEqual(self.client("sts").get_caller_identity()["Account"], ACCOUNT)

    def test_sessions_of_roles_sign_until_they_expire(self):
        sts = self.client("sts")
        for assume, more in (
            (sts.assume_role, {}),
            (sts.assume_role_with_web_identity, {"WebIdentityToken": "header.body.seal"}),
        ):
            keys = assume(RoleArn=ROLE, RoleSessionName="session", **more)["Credentials"]
            client = self.client(
                "sagemaker", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], token=keys["SessionToken"]
            )
            self.assertEqual(client.list_endpoints()["Endpoints"], [])
            forged = self.client("sagemaker", key=keys["AccessKeyId"], secret=keys["SecretAccessKey"], token="other")
            self.refused("UnrecognizedClientException", "invalid", forged.list_endpoints)
            self.fakes.advance(3600)
            self.refused("ExpiredTokenException", "expired", client.list_endpoints)

    def test_an_unknown_role_is_denied(self):
        self.refused(
            "AccessDenied",
            "not authorized to perform: sts:AssumeRole",
            self.client("sts").assume_role,
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/other",
            RoleSessionName="session",
        )


class Model(unittest.TestCase):
    def test_the_fakes_models_are_botocores(self):
        for service in reduce.OPERATIONS:
            found = reduce.file(service).read_text()
            self.assertEqual(found, reduce.text(service), "judges/reduce.py --write writes it again")


class Planted(unittest.TestCase):
    """The judge of records finds what is planted."""

    def exchange(self, **changes):
        good = {
            "number": 1,
            "service": "sagemaker",
            "operation": "CreateEndpoint",
            "method": "POST",
            "target": "/",
            "headers": [["host", "localhost"], ["x-amz-target", "SageMaker.CreateEndpoint"]],
            "body": '{"EndpointName": "e", "EndpointConfigName": "c"}',
            "status": 200,
            "answer": '{"EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"}',
            "fault": None,
            "rules": [],
        }
        return {**good, **changes}

    def faults(self, **changes):
        judge = aws_record.Judge({KEY: (SECRET, None)})
        judge.judge([self.exchange(**changes)])
        return " ".join(judge.faults)

    def test_a_good_exchange_passes(self):
        self.assertEqual(self.faults(), "")

    def test_every_planted_fault_is_found(self):
        scope = "AWS4-HMAC-SHA256 Credential=AKIDCLOUDS/20261201/eu-west-1/sagemaker/aws4_request, SignedHeaders=host;x-amz-date, Signature="
        signed = [
            ["host", "localhost"],
            ["x-amz-date", "20261201T000000Z"],
            ["x-amz-target", "SageMaker.CreateEndpoint"],
            ["authorization", scope + "0" * 64],
        ]
        for changes, text in [
            ({"body": '{"EndpointName": "e"}'}, 'Missing required parameter in input: "EndpointConfigName"'),
            ({"body": '{"EndpointName": "e", "EndpointConfigName": "c", "Tag": []}'}, "Unknown parameter"),
            ({"body": '{"EndpointName": "a_b", "EndpointConfigName": "c"}'}, "does not match"),
            ({"body": '{"EndpointName": "%s", "EndpointConfigName": "c"}' % ("a" * 64)}, "longer than 63"),
            ({"answer": "{}"}, "Missing required parameter"),
            ({"headers": signed}, "another signature"),
        ]:
            self.assertIn(text, self.faults(**changes))
        headers = [["host", "localhost"], ["x-amz-target", "SageMaker.DescribeEndpoint"]]
        times = '"CreationTime": 1.5, "LastModifiedTime": 1.5'
        arn = '"EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"'
        answer = '{"EndpointName": "e", "EndpointStatus": "Sleeping", %s, %s}' % (arn, times)
        found = self.faults(headers=headers, body='{"EndpointName": "e"}', answer=answer)
        self.assertIn("no value of EndpointStatus", found)


if __name__ == "__main__":
    unittest.main()
