"""Azure Machine Learning's own generated client and azure-identity complete the life of an endpoint on the fake."""

import datetime
import importlib
import os
import pathlib
import site
import sys
import tempfile
import types
import unittest
from urllib.parse import urlsplit

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential, WorkloadIdentityCredential

from service import Fakes

TENANT = "11111111-2222-3333-4444-555555555555"
CLIENT = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
SECRET = "secret-of-the-fake-of-azure"
FEDERATED = "service-account-token-of-the-fake"
SUBSCRIPTION = "0b1f6471-1bf0-4dda-aec3-111122223333"
AT = ("models", "acme")
MANAGEMENT = "https://management.azure.com/.default"
SIZE = "Standard_NC40ads_H100_v5"


def generated_client():
    """The client inside azure-ai-ml. The package around it wants much more than the client, so it is passed over."""
    for folder in site.getsitepackages():
        if (pathlib.Path(folder) / "azure/ai/ml").is_dir():
            for name in ("azure.ai", "azure.ai.ml", "azure.ai.ml._restclient"):
                package = types.ModuleType(name)
                package.__path__ = [str(pathlib.Path(folder) / name.replace(".", "/"))]
                sys.modules.setdefault(name, package)
    return importlib.import_module("azure.ai.ml._restclient.arm_ml_service")


ml = generated_client()
m = importlib.import_module("azure.ai.ml._restclient.arm_ml_service.models")
ModelBase = importlib.import_module("azure.ai.ml._restclient.arm_ml_service._utils.model_base").Model


class Bearer(SansIOHTTPPolicy):
    """A token by plain HTTP, which the vendor's own policy refuses."""

    def __init__(self, token):
        self.token = token

    def on_request(self, request):
        request.http_request.headers["Authorization"] = f"Bearer {self.token}"


class Credential:
    def get_token(self, *_scopes, **_options):
        return AccessToken("unused", 0)


class ToFake(RequestsTransport):
    """Sends what is meant for Entra ID to the fake."""

    def __init__(self, url):
        super().__init__()
        self.fake = url

    def send(self, request, **options):
        address = urlsplit(request.url)
        request.url = self.fake + address.path + (f"?{address.query}" if address.query else "")
        return super().send(request, **options)


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.url = self.fakes.urls["azure"]
        self.client = self.of("token-of-the-fake-of-azure")

    def of(self, token):
        client = ml.MachineLearningServicesMgmtClient(
            Credential(), SUBSCRIPTION, base_url=self.url, authentication_policy=Bearer(token), polling_interval=0, retry_total=0
        )
        self.addCleanup(client.close)
        return client

    def end(self, poller, seconds):
        self.fakes.advance(seconds)
        return poller.result(10)

    def register(self):
        route = lambda path: m.Route(path=path, port=8080)
        properties = m.EnvironmentVersionProperties(
            image="vllm:1",
            os_type="Linux",
            inference_config=m.InferenceContainerProperties(
                liveness_route=route("/health"), readiness_route=route("/health"), scoring_route=route("/v1/chat/completions")
            ),
        )
        return self.client.environment_versions.create_or_update(*AT, "roadstead", "1", m.EnvironmentVersion(properties=properties))

    def endpoint(self, name="llama", traffic=None, **more):
        properties = m.OnlineEndpointProperties(auth_mode="Key", keys_property=m.EndpointAuthKeys(primary_key="k1"), traffic=traffic or {})
        body = m.OnlineEndpoint(location="westeurope", tags={"team": "a"}, identity=m.ManagedServiceIdentity(type="SystemAssigned"), properties=properties, **more)
        return self.client.online_endpoints.begin_create_or_update(*AT, name, body)

    def deployment(self, name="blue", capacity=1, endpoint="llama", timeout=180, instance_type=SIZE):
        properties = m.ManagedOnlineDeployment(
            environment_id=self.register().id,
            environment_variables={"SM_VLLM_MODEL": "m", "SM_VLLM_SERVED_MODEL_NAME": "llama"},
            instance_type=instance_type,
            request_settings=m.OnlineRequestSettings(request_timeout=datetime.timedelta(seconds=timeout), max_concurrent_requests_per_instance=500),
            readiness_probe=m.ProbeSettings(period=datetime.timedelta(seconds=10), failure_threshold=30),
            scale_settings=m.DefaultScaleSettings(),
        )
        body = m.OnlineDeployment(location="westeurope", sku=m.Sku(name="Default", capacity=capacity), properties=properties)
        return self.client.online_deployments.begin_create_or_update(*AT, endpoint, name, body)

    def serve(self):
        self.end(self.endpoint(), 60)
        self.end(self.deployment(), 600)
        return self.end(self.endpoint(traffic={"blue": 100}), 30)


class Life(Case):
    def test_an_endpoint_is_made_scaled_listed_and_deleted(self):
        self.serve()
        shown = self.client.online_endpoints.get(*AT, "llama")
        self.assertEqual((shown.properties.provisioning_state, shown.properties.traffic), ("Succeeded", {"blue": 100}))
        self.assertTrue(shown.properties.scoring_uri and shown.system_data.created_at)
        keys = self.client.online_endpoints.list_keys(*AT, "llama")
        self.assertEqual(keys.primary_key, "k1")
        scaling = self.client.online_deployments.begin_update(*AT, "llama", "blue", m.PartialMinimalTrackedResourceWithSku(sku=m.PartialSku(name="Default", capacity=2)))
        self.assertEqual(self.client.online_deployments.get(*AT, "llama", "blue").properties.provisioning_state, "Scaling")
        self.end(scaling, 300)
        self.assertEqual([one.sku.capacity for one in self.client.online_deployments.list(*AT, "llama")], [2])
        tagging = self.client.online_endpoints.begin_update(*AT, "llama", m.PartialMinimalTrackedResourceWithIdentity(tags={"team": "b"}))
        self.end(tagging, 30)
        self.assertEqual([one.name for one in self.client.online_endpoints.list(*AT, tags="team=b")], ["llama"])
        self.assertEqual(list(self.client.online_endpoints.list(*AT, tags="team=a")), [])
        self.end(self.client.online_endpoints.begin_delete(*AT, "llama"), 120)
        with self.assertRaises(ResourceNotFoundError):
            self.client.online_endpoints.get(*AT, "llama")

    def test_every_state_of_a_deployment_is_seen(self):
        self.end(self.endpoint(), 60)
        poller = self.deployment()
        self.assertEqual(self.client.online_deployments.get(*AT, "llama", "blue").properties.provisioning_state, "Creating")
        self.assertEqual(self.end(poller, 600).properties.provisioning_state, "Succeeded")

    def test_lists_have_pages(self):
        for number in range(35):
            self.endpoint(f"one-{number}")
        self.assertEqual(len(list(self.client.online_endpoints.list(*AT))), 35)

    def test_a_key_is_set(self):
        self.serve()
        request = m.RegenerateEndpointKeysRequest(key_type="Primary", key_value="k2")
        self.end(self.client.online_endpoints.begin_regenerate_keys(*AT, "llama", request), 30)
        self.assertEqual(self.client.online_endpoints.list_keys(*AT, "llama").primary_key, "k2")

    def test_a_workspace_has_an_id_and_a_location(self):
        shown = self.client.workspaces.get(*AT)
        self.assertEqual((shown.location, len(shown.properties.workspace_id)), ("westeurope", 36))


class Refusals(Case):
    def refused(self, status, code, call):
        with self.assertRaises(HttpResponseError) as caught:
            call()
        self.assertEqual((caught.exception.status_code, caught.exception.error.code), (status, code), caught.exception)

    def test_what_is_missing_is_not_found(self):
        self.refused(404, "ResourceNotFound", lambda: self.client.online_endpoints.get(*AT, "llama"))
        self.refused(404, "ResourceGroupNotFound", lambda: self.client.online_endpoints.get("other", "acme", "llama"))

    def test_a_deployment_waits_for_its_endpoint(self):
        self.endpoint()
        self.refused(409, "Conflict", self.deployment)

    def test_bodies_are_checked(self):
        self.end(self.endpoint(), 60)
        self.refused(400, "BadRequest", lambda: self.endpoint(traffic={"green": 100}))
        self.refused(400, "BadRequest", lambda: self.endpoint("a--b"))
        self.refused(400, "BadRequest", lambda: self.deployment(timeout=181))
        self.refused(400, "BadRequest", lambda: self.deployment(capacity=51))
        self.refused(400, "BadRequest", lambda: self.deployment(instance_type="Standard_A0"))

    def test_a_deployment_with_traffic_is_not_deleted(self):
        self.serve()
        self.refused(400, "BadRequest", lambda: self.client.online_deployments.begin_delete(*AT, "llama", "blue"))

    def test_a_lack_of_machines_shows_late(self):
        self.end(self.endpoint(), 60)
        reason = "The specified VM Size failed to provision due to a lack of Azure Machine Learning capacity."
        self.fakes.script({"service": "azure", "operation": "OnlineDeployments_CreateOrUpdate", "effect": {"kind": "failLate", "afterSeconds": 360, "reason": reason}})
        poller = self.deployment()
        with self.assertRaises(HttpResponseError) as caught:
            self.end(poller, 360)
        self.assertEqual((caught.exception.error.code, caught.exception.error.message), ("OutOfQuota", reason))
        self.assertEqual(self.client.online_deployments.get(*AT, "llama", "blue").properties.provisioning_state, "Failed")

    def test_throttling_names_a_time(self):
        self.fakes.script({"service": "azure", "operation": "*", "effect": {"kind": "throttle", "afterSeconds": 7}})
        with self.assertRaises(HttpResponseError) as caught:
            self.client.workspaces.get(*AT)
        self.assertEqual((caught.exception.status_code, caught.exception.response.headers["retry-after"]), (429, "7"))

    def test_a_token_must_be_valid(self):
        with self.assertRaises(ClientAuthenticationError):
            self.of("another").workspaces.get(*AT)


class Identity(Case):
    def test_a_secret_and_a_token_of_a_cluster_are_exchanged(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(FEDERATED)
            file.flush()
            by_file = WorkloadIdentityCredential(tenant_id=TENANT, client_id=CLIENT, token_file_path=file.name, disable_instance_discovery=True, transport=ToFake(self.url))
            by_secret = ClientSecretCredential(TENANT, CLIENT, SECRET, disable_instance_discovery=True, transport=ToFake(self.url))
            for credential in (by_file, by_secret):
                token = credential.get_token(MANAGEMENT).token
                self.assertEqual(self.of(token).workspaces.get(*AT).name, "acme")
                other = credential.get_token("https://ai.azure.com/.default").token
                with self.assertRaises(ClientAuthenticationError):
                    self.of(other).workspaces.get(*AT)
                credential.close()

    def test_a_wrong_secret_is_refused(self):
        credential = ClientSecretCredential(TENANT, CLIENT, "wrong", disable_instance_discovery=True, transport=ToFake(self.url))
        with self.assertRaisesRegex(ClientAuthenticationError, "AADSTS7000215"):
            credential.get_token(MANAGEMENT)
        credential.close()


if __name__ == "__main__":
    unittest.main()
