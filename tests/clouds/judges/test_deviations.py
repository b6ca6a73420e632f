"""Checks of the table of deviations that belong to no other judge."""

import http.client
import os
import unittest
import urllib.parse

import botocore.loaders
import botocore.model
import botocore.validate
from azure.core.exceptions import ServiceRequestError
from baseten.client import managementapi
from huggingface_hub import InferenceEndpoint

import deviations
import service
import test_azure
import test_azure_openai
import test_baseten
import test_bedrock
import test_digital_ocean
import test_hosted
import test_hugging_face
import test_sagemaker
import test_vertex_ai


def model(name):
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(name, "service-2"))


class Table(unittest.TestCase):
    def test_a_check_needs_a_row(self):
        self.assertRaises(LookupError, deviations.row, "no-such-row")

    def test_rows_have_names_of_their_own(self):
        names = [name for rows in deviations.ROWS.values() for name in rows]
        self.assertEqual(sorted(set(names)), sorted(names))


class Botocore(unittest.TestCase):
    @deviations.row("botocore-leaves-values")
    def test_values_are_left_to_the_service(self):
        variant = {"VariantName": "main", "ModelName": "a_b", "InstanceType": "ml.none", "InitialInstanceCount": 1}
        wrong = {"EndpointConfigName": "a" * 200, "ProductionVariants": [variant]}
        shape = model("sagemaker").operation_model("CreateEndpointConfig").input_shape
        self.assertFalse(botocore.validate.ParamValidator().validate(wrong, shape).has_errors())

    @deviations.row("botocore-has-no-openai-route")
    def test_the_openai_route_is_in_no_model(self):
        runtime = model("sagemaker-runtime")
        paths = [runtime.operation_model(name).http["requestUri"] for name in runtime.operation_names]
        self.assertTrue(any("/invocations" in path for path in paths), paths)
        self.assertFalse(any("openai" in path for path in paths), paths)

    @deviations.row("sagemaker-untyped-refusals")
    def test_a_missing_endpoint_has_no_error_of_its_own(self):
        self.assertEqual(model("sagemaker").operation_model("DescribeEndpoint").error_shapes, [])


class OneAddress(unittest.TestCase):
    """The check of a row that holds for both fakes of AWS."""

    @deviations.row("one-address")
    def test_one_address_answers_for_all(self):
        fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(fakes.end)
        own = {"sagemaker": "list_endpoints", "bedrock": "list_imported_models"}
        for cases in (test_sagemaker, test_bedrock):
            case = cases.Case()
            case.fakes = fakes
            name = "sagemaker" if cases is test_sagemaker else "bedrock"
            for api, ask in (("sts", "get_caller_identity"), ("resourcegroupstaggingapi", "get_resources"), (name, own[name])):
                client = case.client(api)
                getattr(client, ask)()
                self.assertEqual(client.meta.endpoint_url, fakes.urls[name])


class Rates(unittest.TestCase):
    """The check of a row that holds for all fakes."""

    CALLS = 100

    def calls(self, fakes):
        """A call of each service that succeeds, by the name of its address."""

        def of_aws(cases, api, ask):
            case = cases.Case()
            case.fakes = fakes
            client = case.client(api)
            return lambda: getattr(client, ask)()["ResponseMetadata"]["HTTPStatusCode"]

        def by_path(name, path, token):
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(fakes.urls[name]).netloc, timeout=5)
            self.addCleanup(connection.close)

            def call():
                connection.request("GET", path, headers={"authorization": f"Bearer {token}"})
                with connection.getresponse() as answer:
                    answer.read()
                    return answer.status

            return call

        group = f"/subscriptions/{test_azure.SUBSCRIPTION}/resourceGroups"
        workspaces, accounts = "Microsoft.MachineLearningServices/workspaces", "Microsoft.CognitiveServices/accounts"
        azure, openai = test_azure.AT, test_azure_openai.AT
        project = f"/v1/projects/{test_vertex_ai.PROJECT}/locations/europe-west4"
        token = "token-of-the-fake-of-azure"
        paths = {
            "huggingFace": (f"/v2/endpoint/{test_hugging_face.NAMESPACE}", test_hugging_face.TOKEN),
            "vertexAi": (f"{project}/endpoints", test_vertex_ai.TOKEN),
            "baseten": ("/v1/models", test_baseten.KEY),
            "digitalOcean": ("/v2/dedicated-inferences", test_digital_ocean.TOKEN),
            "azure": (f"{group}/{azure[0]}/providers/{workspaces}/{azure[1]}?api-version=2025-12-01", token),
            "azureOpenai": (f"{group}/{openai[0]}/providers/{accounts}/{openai[1]}?api-version=2025-12-01", token),
            "hosted": ("/v1/models", test_hosted.KEY),
        }
        return {
            "sagemaker": of_aws(test_sagemaker, "sagemaker", "list_endpoints"),
            "bedrock": of_aws(test_bedrock, "bedrock", "list_imported_models"),
            **{name: by_path(name, *rest) for name, rest in paths.items()},
        }

    @deviations.row("unlimited-rates")
    def test_nothing_is_throttled_without_a_script(self):
        fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(fakes.end)
        calls = self.calls(fakes)
        self.assertEqual(set(calls), set(fakes.urls) - {"admin"})
        for name, call in calls.items():
            self.assertEqual({call() for _ in range(self.CALLS)}, {200}, name)


class VertexAI(test_vertex_ai.Case):
    @deviations.row("vertex-operations-elsewhere")
    def test_operations_are_asked_for_at_another_path(self):
        self.wait(self.create(), 10)
        asked = [one["target"] for one in self.fakes.requests() if one["operation"] == "GetOperation"]
        self.assertTrue(asked and all(target.startswith("/ui/") for target in asked), asked)
        self.assertEqual(self.ask(asked[0].split("?")[0].replace("/ui/", "/v1/", 1))[0], 200)

    @deviations.row("vertex-enums-as-numbers")
    def test_enums_are_asked_for_as_numbers(self):
        self.create()
        self.fakes.advance(10)
        self.get()
        query = urllib.parse.urlsplit(self.fakes.requests()[-1]["target"]).query
        self.assertIn("json;enum-encoding=int", urllib.parse.unquote(query))


class AzureML(test_azure.Case):
    @deviations.row("azure-tokens-need-tls")
    def test_the_clients_own_policy_sends_no_token_over_http(self):
        client = test_azure.ml.MachineLearningServicesMgmtClient(test_azure.Credential(), test_azure.SUBSCRIPTION, base_url=self.url)
        self.addCleanup(client.close)
        self.assertRaises(ServiceRequestError, client.workspaces.get, *test_azure.AT)
        self.assertEqual(self.fakes.requests(), [])

    @deviations.row("azure-repeats-throttled")
    def test_the_client_repeats_a_throttled_call(self):
        client = test_azure.ml.MachineLearningServicesMgmtClient(
            test_azure.Credential(),
            test_azure.SUBSCRIPTION,
            base_url=self.url,
            authentication_policy=test_azure.Bearer("token-of-the-fake-of-azure"),
        )
        self.addCleanup(client.close)
        throttled = {"service": "azure", "operation": "*", "times": 1, "effect": {"kind": "throttle", "afterSeconds": 0}}
        self.fakes.script(throttled)
        self.assertEqual(client.workspaces.get(*test_azure.AT).name, "acme")
        self.assertEqual([one["status"] for one in self.fakes.requests()], [429, 200])


class HuggingFace(test_hugging_face.Case):
    @deviations.row("plain-http")
    def test_no_fake_speaks_https(self):
        self.assertEqual({urllib.parse.urlsplit(url).scheme for url in self.fakes.urls.values()}, {"http"})

    @deviations.row("endpoints-by-path")
    def test_an_endpoint_is_a_path_of_the_fake(self):
        self.assertTrue(self.running().url.startswith(self.fakes.urls["huggingFace"] + "/"))

    @deviations.row("huggingface-wants-members")
    def test_endpoints_without_some_members_cannot_be_read(self):
        self.create()
        read = lambda raw: InferenceEndpoint.from_raw(raw, namespace=test_hugging_face.NAMESPACE, token="t")
        for path in (("healthRoute",), ("model", "task"), ("status", "createdAt"), ("status", "updatedAt")):
            raw = self.get().raw
            read(raw)
            inner = raw
            for name in path[:-1]:
                inner = inner[name]
            del inner[path[-1]]
            self.assertRaises(KeyError, read, raw)

    @deviations.row("huggingface-waits-for-health")
    def test_the_client_waits_for_the_route_of_health(self):
        endpoint = self.running()
        endpoint.wait(timeout=5, refresh_every=1)
        self.assertTrue(self.fakes.requests()[-1]["target"].endswith(endpoint.raw["healthRoute"]))


class Baseten(unittest.TestCase):
    @deviations.row("baseten-wants-backpressure")
    def test_a_deployment_needs_its_settings_of_backpressure(self):
        self.assertTrue(managementapi.Deployment.model_fields["request_backpressure_settings"].is_required())


class DigitalOcean(unittest.TestCase):
    PATHS = test_digital_ocean.SPEC.spec["paths"].read_value()

    @deviations.row("digitalocean-has-no-422")
    def test_no_answer_refuses_what_cannot_run(self):
        responses = self.PATHS["/v2/dedicated-inferences"]["post"]["responses"]
        self.assertIn("202", responses)
        self.assertNotIn("422", responses)

    @deviations.row("digitalocean-knows-one-provider")
    def test_models_come_from_one_provider(self):
        found = []

        def walk(value):
            if isinstance(value, dict):
                if "model_provider" in value and isinstance(value["model_provider"], dict):
                    found.append(value["model_provider"].get("enum"))
                for inner in value.values():
                    walk(inner)
            elif isinstance(value, list):
                for inner in value:
                    walk(inner)

        walk(test_digital_ocean.SPEC.spec.read_value())
        self.assertTrue(found and all(values == ["hugging_face"] for values in found if values), found)


if __name__ == "__main__":
    unittest.main()
