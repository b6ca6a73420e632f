"""Vertex AI's fake, judged by Google's own clients: google-cloud-aiplatform runs the whole life of an endpoint, google-auth asks for tokens."""

import base64
import json
import os
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import google.auth.exceptions
import google.auth.transport.requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core import exceptions
from google.auth import identity_pool
from google.cloud import aiplatform_v1 as v1
from google.oauth2 import credentials, service_account
from google.protobuf import field_mask_pb2

import deviations
import service

TOKEN, PROJECT, NUMBER = "token-of-the-fake-of-vertex", "acme-models", "415104041262"
WORKLOAD = f"roadstead@{PROJECT}.iam.gserviceaccount.com"
SUBJECT_TOKEN = "token-of-the-cluster"
POOL = f"iam.googleapis.com/projects/{NUMBER}/locations/global/workloadIdentityPools/clusters"
AUDIENCE = f"//{POOL}/providers/hub"
PRINCIPAL = f"principal://{POOL}/subject/system:serviceaccount:roadstead-gateway:roadstead-gateway"
PARENT, FULL = (f"projects/{project}/locations/europe-west4" for project in (PROJECT, NUMBER))
SCOPES = ["https://www.googleapis.com/auth/cloud-platform"]
IMAGE = "europe-west4-docker.pkg.dev/acme-models/images/vllm:v0.20.0"


def fault(operation, kind, times=1, **more):
    return {"service": "vertexai", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


def model(**changes):
    container = {
        "image_uri": IMAGE,
        "command": ["vllm", "serve", "org/m"],
        "args": ["--served-model-name", "llama"],
        "env": [{"name": "HF_TOKEN", "value": "word"}],
        "ports": [{"container_port": 8080}],
        "health_route": "/health",
        "invoke_route_prefix": "/*",
    }
    return {"display_name": "m", "container_spec": {**container, **changes}, "labels": {"owner": "prod"}}


def deployed(model="m", number="1", machine="a3-highgpu-8g", kind="NVIDIA_H100_80GB", count=8, least=1, most=1):
    spec = {"machine_type": machine, "accelerator_type": kind, "accelerator_count": count}
    resources = {"machine_spec": spec, "min_replica_count": least, "max_replica_count": most}
    return {"id": number, "model": f"{PARENT}/models/{model}", "dedicated_resources": resources}


class Case(unittest.TestCase):
    settings = None

    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"], self.settings)
        self.addCleanup(self.fakes.end)
        self.url = self.fakes.urls["vertexAi"]
        self.endpoints = self.client(v1.EndpointServiceClient)
        self.models = self.client(v1.ModelServiceClient)

    def client(self, kind, token=TOKEN):
        # The client does not retry by itself what is judged here, and asks at an address without TLS.
        transport = kind.get_transport_class("rest")(
            host=self.url.removeprefix("http://"), url_scheme="http", credentials=credentials.Credentials(token)
        )
        self.addCleanup(transport.close)
        return kind(transport=transport)

    def wait(self, operation, seconds):
        self.assertFalse(operation.done())
        self.fakes.advance(seconds - 1)
        self.assertFalse(operation.done())
        self.fakes.advance(1)
        return operation.result(timeout=5)

    def upload(self, name="m", **changes):
        request = {"parent": PARENT, "model_id": name, "model": model(**changes)}
        return self.models.upload_model(request, retry=None)

    def create(self, name="e", **changes):
        form = {"display_name": name, "labels": {"owner": "prod"}, "dedicated_endpoint_enabled": True, **changes}
        return self.endpoints.create_endpoint({"parent": PARENT, "endpoint_id": name, "endpoint": form}, retry=None)

    def deploy(self, split=None, **changes):
        request = {"endpoint": f"{PARENT}/endpoints/e", "deployed_model": deployed(**changes), "traffic_split": split or {"0": 100}}
        return self.endpoints.deploy_model(request, retry=None)

    def undeploy(self, number, split=None):
        request = {"endpoint": f"{PARENT}/endpoints/e", "deployed_model_id": number, "traffic_split": split or {}}
        return self.endpoints.undeploy_model(request, retry=None)

    def ready(self):
        self.wait(self.upload(), 30)
        self.wait(self.create(), 10)

    def serving(self, **changes):
        self.ready()
        self.wait(self.deploy(**changes), 600)

    def get(self, name="e"):
        return self.endpoints.get_endpoint({"name": f"{PARENT}/endpoints/{name}"}, retry=None)

    def state(self):
        return self.fakes.state()["vertexai"][0]

    def refused(self, status, call, *arguments, **more):
        with self.assertRaises(exceptions.GoogleAPICallError) as caught:
            call(*arguments, **more)
        error = caught.exception.response.json()["error"]
        self.assertEqual((error["status"], error["code"]), (status, caught.exception.code))
        return error["message"]

    def ask(self, path, token=TOKEN, body=None, **headers):
        request = urllib.request.Request(self.url + path, body)
        if token:
            request.add_header("authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


class Life(Case):
    def test_an_endpoint_is_made_serves_is_scaled_updated_and_removed(self):
        uploaded = self.wait(self.upload(), 30)
        self.assertEqual((uploaded.model, uploaded.model_version_id), (f"{FULL}/models/m", "1"))
        created = self.wait(self.create(), 10)
        self.assertEqual(created.name, f"{FULL}/endpoints/e")
        answer = self.wait(self.deploy(), 600)
        self.assertEqual(answer.deployed_model.id, "1")
        endpoint = self.get()
        self.assertEqual(dict(endpoint.traffic_split), {"1": 100})
        self.assertEqual(endpoint.dedicated_endpoint_dns, f"e.europe-west4-{NUMBER}.prediction.vertexai.goog")
        self.assertEqual(endpoint.deployed_models[0].status.available_replica_count, 1)

        invoke = f"/v1/{FULL}/endpoints/e/invoke/v1/models"
        status, body = self.ask(invoke)
        self.assertTrue(status == 200 and '"llama"' in body, body)
        self.assertEqual(self.ask(invoke, token="other")[0], 401)

        resources = {"min_replica_count": 2, "max_replica_count": 2}
        paths = ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]
        scaled = {"endpoint": endpoint.name, "deployed_model": {"id": "1", "dedicated_resources": resources}}
        scaled["update_mask"] = field_mask_pb2.FieldMask(paths=paths)
        self.wait(self.endpoints.mutate_deployed_model(scaled, retry=None), 300)
        shown = self.get().deployed_models[0]
        self.assertEqual((shown.dedicated_resources.min_replica_count, shown.status.available_replica_count), (2, 2))
        self.assertEqual(shown.dedicated_resources.machine_spec.machine_type, "a3-highgpu-8g")

        self.wait(self.upload("m2"), 30)
        self.wait(self.deploy(model="m2", number="2"), 600)
        self.assertEqual((len(self.get().deployed_models), dict(self.get().traffic_split)), (2, {"2": 100}))
        self.wait(self.undeploy("1"), 60)
        self.wait(self.undeploy("2"), 60)
        self.wait(self.endpoints.delete_endpoint({"name": endpoint.name}, retry=None), 10)
        self.assertRaises(exceptions.NotFound, self.get)
        for name in ("m", "m2"):
            self.wait(self.models.delete_model({"name": f"{PARENT}/models/{name}"}, retry=None), 10)
        state = self.state()
        self.assertEqual((state["endpoints"], state["models"], state["running"]), ([], [], 0))
        # One replica for 600 + 300 seconds, two for 30 + 600 + 60, the second model for 600 + 60 + 60.
        self.assertEqual(state["billedReplicaSeconds"], 900 + 2 * 690 + 720)

    def test_labels_are_replaced_and_lists_are_filtered_in_pages(self):
        for number in range(3):
            self.create(f"e{number}")
        self.create("other", labels={"owner": "else"})
        self.fakes.advance(10)
        request = {"parent": PARENT, "filter": 'labels.owner="prod"', "page_size": 2}
        self.assertEqual([one.display_name for one in self.endpoints.list_endpoints(request)], ["e0", "e1", "e2"])
        pages = [len(page.endpoints) for page in self.endpoints.list_endpoints(request).pages]
        self.assertEqual(pages, [2, 1])
        changed = {"name": f"{PARENT}/endpoints/e0", "labels": {"owner": "else", "a_b": "c-d"}}
        mask = field_mask_pb2.FieldMask(paths=["labels"])
        self.endpoints.update_endpoint({"endpoint": changed, "update_mask": mask}, retry=None)
        self.assertEqual(dict(self.get("e0").labels), {"owner": "else", "a_b": "c-d"})
        self.assertEqual(len(list(self.endpoints.list_endpoints(request))), 2)
        self.upload()
        self.fakes.advance(30)
        found = list(self.models.list_models({"parent": PARENT, "filter": "labels.owner=prod"}))
        self.assertEqual([one.name for one in found], [f"{FULL}/models/m"])

    def test_the_operations_of_an_endpoint_are_listed(self):
        self.serving()
        status, body = self.ask(f"/v1/{PARENT}/endpoints/e/operations")
        self.assertEqual(status, 200)
        listed = json.loads(body)["operations"]
        kinds = [one["metadata"]["@type"].rsplit(".", 1)[-1] for one in listed]
        self.assertEqual(kinds, ["CreateEndpointOperationMetadata", "DeployModelOperationMetadata"])
        self.assertTrue(all(one["done"] for one in listed))


class Refusals(Case):
    def test_ids_and_labels(self):
        self.upload()
        self.refused("ALREADY_EXISTS", self.upload)
        self.create()
        self.fakes.advance(30)
        self.refused("ALREADY_EXISTS", self.upload)
        self.refused("ALREADY_EXISTS", self.create)
        for name in ("E", "1a", "a_b", "a-", "a" * 64):
            self.refused("INVALID_ARGUMENT", self.create, name)
        self.refused("INVALID_ARGUMENT", self.create, "e2", labels={"a.b/c": "d"})

    def test_models_and_deployments(self):
        self.refused("INVALID_ARGUMENT", self.upload, image_uri="vllm/vllm-openai:v0.20.0")
        self.refused("INVALID_ARGUMENT", self.upload, predict_route="/predict")
        self.ready()
        for changes in ({"machine": "n1"}, {"kind": "NVIDIA_L4"}, {"count": 4}, {"least": 0}, {"least": 2}, {"number": "a"}):
            self.refused("INVALID_ARGUMENT", self.deploy, **changes)
        self.refused("INVALID_ARGUMENT", self.deploy, split={"0": 50})
        self.refused("NOT_FOUND", self.deploy, model="other")
        self.wait(self.create("plain", dedicated_endpoint_enabled=False), 10)
        plain = {"endpoint": f"{PARENT}/endpoints/plain", "deployed_model": deployed(), "traffic_split": {"0": 100}}
        self.refused("INVALID_ARGUMENT", self.endpoints.deploy_model, plain, retry=None)

    def test_nothing_in_use_is_deleted_and_changes_follow_each_other(self):
        self.ready()
        self.deploy()
        delete = lambda: self.endpoints.delete_endpoint({"name": f"{PARENT}/endpoints/e"}, retry=None)
        self.refused("FAILED_PRECONDITION", delete)
        self.refused("FAILED_PRECONDITION", self.deploy, number="2")
        self.fakes.advance(600)
        self.refused("FAILED_PRECONDITION", delete)
        self.refused("FAILED_PRECONDITION", self.models.delete_model, {"name": f"{PARENT}/models/m"}, retry=None)
        self.refused("ALREADY_EXISTS", self.deploy)
        self.wait(self.deploy(number="2", split={"0": 20, "1": 80}), 600)
        self.refused("FAILED_PRECONDITION", self.undeploy, "1")
        self.wait(self.undeploy("1", {"2": 100}), 60)
        self.assertEqual(dict(self.get().traffic_split), {"2": 100})

    def test_a_quota_is_refused_at_once_by_the_largest_number_of_replicas(self):
        self.ready()
        self.assertIn("quota metrics", self.refused("RESOURCE_EXHAUSTED", self.deploy, most=20_000))
        self.assertEqual(self.state()["running"], 0)

    @deviations.row("vertex-renews-on-401")
    def test_tokens_and_projects(self):
        # The client asks for another token where the answer is 401, and has no way to.
        self.assertEqual(self.ask(f"/v1/{PARENT}/endpoints/e", "other")[0], 401)
        other = self.client(v1.EndpointServiceClient, "other")
        with self.assertRaises(google.auth.exceptions.RefreshError):
            other.get_endpoint({"name": f"{PARENT}/endpoints/e"}, retry=None)
        elsewhere = {"name": "projects/elsewhere/locations/europe-west4/endpoints/e"}
        self.refused("PERMISSION_DENIED", self.endpoints.get_endpoint, elsewhere, retry=None)
        status, body = self.ask(f"/v3/projects/{PROJECT}")
        self.assertEqual((status, json.loads(body)["name"]), (200, f"projects/{NUMBER}"))
        self.assertEqual(self.ask("/v3/projects/elsewhere")[0], 403)


class Faults(Case):
    @deviations.row("vertex-late-lack-is-429")
    def test_a_lack_of_machines_ends_the_operation_late(self):
        self.ready()
        self.fakes.script(fault("DeployModel", "failLate", afterSeconds=360, reason="the service is temporarily out of capacity"))
        operation = self.deploy()
        with self.assertRaises(exceptions.GoogleAPICallError) as caught:
            self.wait(operation, 360)
        self.assertEqual(caught.exception.code, 429)
        self.assertEqual((len(self.get().deployed_models), self.state()["billedReplicaSeconds"]), (0, 0))

    def test_throttled_denied_html_and_lost_answers(self):
        self.fakes.script(fault("ListEndpoints", "throttle", afterSeconds=7))
        self.assertEqual(self.ask(f"/v1/{PARENT}/endpoints")[0], 429)
        self.fakes.script(fault("GetEndpoint", "deny"))
        self.refused("PERMISSION_DENIED", self.get)
        self.fakes.script(fault("GetEndpoint", "html", status=502))
        self.assertRaises(exceptions.GoogleAPICallError, self.get)
        self.fakes.script(fault("CreateEndpoint", "loseRequest"))
        self.assertRaises(Exception, self.create)
        self.fakes.script(fault("CreateEndpoint", "loseAnswer"))
        self.assertRaises(Exception, self.create)
        self.fakes.advance(10)
        self.assertEqual(self.get().display_name, "e")

    def test_late_lists_and_deletions_that_hang_or_linger(self):
        names = lambda: [one.display_name for one in self.endpoints.list_endpoints({"parent": PARENT})]
        self.fakes.script(fault("CreateEndpoint", "hide", seconds=40, hidden="fromLists"))
        self.create()
        self.fakes.advance(10)
        self.assertEqual((self.get().display_name, names()), ("e", []))
        self.fakes.advance(40)
        self.assertEqual(names(), ["e"])
        self.fakes.script(fault("DeleteEndpoint", "stuck"))
        request = {"name": f"{PARENT}/endpoints/e"}
        self.endpoints.delete_endpoint(request, retry=None)
        self.fakes.advance(3600)
        self.assertEqual(self.get().display_name, "e")
        self.fakes.script(fault("DeleteEndpoint", "linger", seconds=60))
        self.endpoints.delete_endpoint(request, retry=None)
        self.fakes.advance(10)
        self.assertRaises(exceptions.NotFound, self.get)
        self.assertEqual(names(), ["e"])


class Tokens(Case):
    """The vendor's own library makes the requests for tokens."""

    @classmethod
    def setUpClass(cls):
        cls.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = cls.key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
        robot = {"email": "robot@acme.example", "publicKey": base64.b64encode(form).decode()}
        target = {"email": "vertex@acme.example", "impersonatedBy": ["robot@acme.example", PRINCIPAL]}
        settings = tempfile.NamedTemporaryFile("w", suffix=".json")
        cls.addClassCleanup(settings.close)
        json.dump({"vertexAi": {"accounts": [robot, target, {"email": WORKLOAD}]}}, settings)
        settings.flush()
        cls.settings = settings.name

    def robot(self, key=None):
        pem = (key or self.key).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = {"client_email": "robot@acme.example", "token_uri": self.url + "/token", "private_key": pem.decode()}
        return service_account.Credentials.from_service_account_info(info, scopes=SCOPES)

    def asked(self):
        return google.auth.transport.requests.Request()

    def test_a_signed_jwt_is_exchanged(self):
        robot = self.robot()
        robot.refresh(self.asked())
        self.assertEqual(self.ask(f"/v3/projects/{PROJECT}", robot.token)[0], 200)
        forged = self.robot(rsa.generate_private_key(public_exponent=65537, key_size=2048))
        self.assertRaises(google.auth.exceptions.RefreshError, forged.refresh, self.asked())

    def pool(self, token, **changes):
        """The library's own reading of a credential file."""
        file = tempfile.NamedTemporaryFile("w")
        self.addCleanup(file.close)
        file.write(token)
        file.flush()
        info = {
            "type": "external_account",
            "audience": AUDIENCE,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": self.url + "/v1/token",
            "credential_source": {"file": file.name},
        }
        return identity_pool.Credentials.from_info({**info, **changes}, scopes=SCOPES)

    def test_a_token_of_another_issuer_is_exchanged(self):
        pool = self.pool(SUBJECT_TOKEN)
        pool.refresh(self.asked())
        self.assertEqual(self.ask(f"/v3/projects/{PROJECT}", pool.token)[0], 200)
        account = f"{self.url}/v1/projects/-/serviceAccounts/vertex@acme.example:generateAccessToken"
        acting = self.pool(SUBJECT_TOKEN, service_account_impersonation_url=account)
        acting.refresh(self.asked())
        self.assertEqual(self.ask(f"/v3/projects/{PROJECT}", acting.token)[0], 200)
        other = account.replace("vertex@acme.example", WORKLOAD)
        for refused, word in [
            (self.pool("another"), "invalid_grant"),
            (self.pool(SUBJECT_TOKEN, audience="//iam.googleapis.com/elsewhere"), "invalid_target"),
            (self.pool(SUBJECT_TOKEN, subject_token_type="other"), "invalid_request"),
            (self.pool(SUBJECT_TOKEN, service_account_impersonation_url=other), "getAccessToken"),
        ]:
            with self.assertRaises(google.auth.exceptions.GoogleAuthError) as caught:
                refused.refresh(self.asked())
            self.assertIn(word, str(caught.exception))

    def test_one_account_acts_as_another_that_allows_it(self):
        robot = self.robot()
        robot.refresh(self.asked())
        ask = lambda token, email: self.ask(
            f"/v1/projects/-/serviceAccounts/{email}:generateAccessToken",
            token,
            json.dumps({"scope": SCOPES, "lifetime": "3600s"}).encode(),
        )
        status, body = ask(robot.token, "vertex@acme.example")
        self.assertEqual(status, 200)
        self.assertEqual(self.ask(f"/v3/projects/{PROJECT}", json.loads(body)["accessToken"])[0], 200)
        self.assertEqual(ask(robot.token, WORKLOAD)[0], 403)
        self.assertEqual(ask("other", "vertex@acme.example")[0], 401)

    def test_the_metadata_server_wants_its_header(self):
        path = "/computeMetadata/v1/instance/service-accounts/default/token"
        self.assertEqual(self.ask(path, None)[0], 403)
        status, body = self.ask(path, None, metadata_flavor="Google")
        self.assertEqual((status, self.ask(f"/v3/projects/{PROJECT}", json.loads(body)["access_token"])[0]), (200, 200))


if __name__ == "__main__":
    unittest.main()
