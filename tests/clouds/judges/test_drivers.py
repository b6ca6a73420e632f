"""What our drivers sent in the conformance suite, judged by the vendors' own models and clients."""

import datetime
import json
import os
import pathlib
import re
import typing
import unittest

from baseten.client import managementapi, modelconfig
from huggingface_hub import InferenceEndpoint

from google.cloud import aiplatform_v1 as v1
from google.longrunning import operations_pb2
from google.protobuf import json_format

import aws_record
import model_types
import test_azure
import test_azure_openai
import test_digital_ocean
import test_hugging_face
import test_sagemaker


def exchanges(service):
    """The recorded requests to one service, one list for each start of the fakes."""
    files = sorted(pathlib.Path(os.environ["RECORDS"]).glob("*.json"))
    records = [[one for one in json.loads(file.read_text()) if one["service"] == service] for file in files]
    return [record for record in records if record]


def typed_paths(value, path=""):
    """Paths of all members of a JSON value, each with its type; maps whose keys are free count as one."""
    if isinstance(value, dict):
        free = path in (".model.env", ".model.secrets")
        return set().union(*(typed_paths(inner, f"{path}.*" if free else f"{path}.{key}") for key, inner in value.items()))
    if isinstance(value, list):
        return set().union(*(typed_paths(inner, f"{path}[]") for inner in value))
    return {(path, type(value).__name__)}


def members(value):
    """The members of a JSON value at every depth with their types; of texts without spaces also the value, which may be one of an enum."""
    if isinstance(value, dict):
        return {name: members(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted({str(members(inner)) for inner in value})
    return value if isinstance(value, str) and re.fullmatch("[A-Za-z]{1,40}", value) else type(value).__name__


class Types(unittest.TestCase):
    def test_another_type_and_another_value_of_an_enum_are_told(self):
        m = test_azure.m
        state = typing.Optional[typing.Union[str, m.EndpointProvisioningState]]
        for value, hint, count in [
            ("Succeeded", state, 0),
            (None, state, 0),
            ("Hibernating", state, 1),
            (None, str, 1),
            (True, int, 1),
            ("1", int, 1),
            ({"a": 1}, typing.Optional[dict[str, int]], 0),
            ({"a": "1"}, dict[str, int], 1),
            (["a", 1], list[str], 1),
            ("2026-12-01T01:02:03Z", datetime.datetime, 0),
            ("yesterday", datetime.datetime, 1),
            ("a", m.Sku, 1),
        ]:
            self.assertEqual(len(model_types.faults(value, hint, "")), count, (value, hint))


class AmazonWebServices(unittest.TestCase):
    def test_signatures_and_shapes_of_sagemaker(self):
        self.judge("sagemaker")

    def test_signatures_and_shapes_of_bedrock(self):
        self.judge("bedrock")
        operations = {one["operation"] for record in exchanges("bedrock") for one in record}
        self.assertNotIn("unknown", operations)

    def judge(self, service):
        signatures, inputs, outputs = 0, 0, 0
        for record in exchanges(service):
            judge = aws_record.Judge({test_sagemaker.KEY: (test_sagemaker.SECRET, None)})
            judge.judge(record)
            self.assertEqual(judge.faults, [])
            signatures, inputs, outputs = signatures + judge.signatures, inputs + judge.inputs, outputs + judge.outputs
        for judged in (signatures, inputs, outputs):
            self.assertGreater(judged, 100)


class HuggingFace(test_hugging_face.Case):
    def known(self):
        """Members of the bodies that the vendor's client sends when it uses everything that our driver may use; the image as its documentation
        has it."""
        image = {"vLLM": {"url": "vllm/vllm-openai:v0.23.0", "port": 8000}}
        self.create(revision="main", task="text-generation", env={"A": "b"}, custom_image=image)
        self.api.update_inference_endpoint("e", namespace="acme", revision="main", env={"A": "b"}, tags=["a"])
        bodies = [one["body"] for one in self.fakes.requests() if one["operation"] in ("create", "update")]
        return set().union(*(typed_paths(json.loads(body)) for body in bodies))

    def test_bodies_have_only_members_and_types_that_the_client_has_too(self):
        known, seen = self.known(), 0
        for exchange in (one for record in exchanges("huggingface") for one in record):
            if exchange["operation"] in ("create", "update"):
                seen += 1
                self.assertEqual(typed_paths(json.loads(exchange["body"])) - known, set(), exchange["body"])
        self.assertGreater(seen, 0)

    def test_the_client_reads_every_endpoint_that_the_driver_was_shown(self):
        seen = 0
        for exchange in (one for record in exchanges("huggingface") for one in record):
            is_endpoint = exchange["operation"] in ("get", "create", "update") and exchange["fault"] != "status"
            if is_endpoint and exchange["status"] == 200 and exchange["answer"]:
                seen += 1
                InferenceEndpoint.from_raw(json.loads(exchange["answer"]), namespace="acme", token="t")
        self.assertGreater(seen, 0)

    def test_no_call_of_the_driver_is_unknown(self):
        operations = {one["operation"] for record in exchanges("huggingface") for one in record}
        self.assertLessEqual({"whoami", "list", "get", "create", "update", "pause", "resume", "delete"}, operations)
        self.assertNotIn("unknown", operations)


class VertexAI(unittest.TestCase):
    """Requests and answers are read by the vendor's own messages, which know no other members, names or types."""

    INPUTS = {
        "UploadModel": v1.UploadModelRequest,
        "CreateEndpoint": v1.Endpoint,
        "UpdateEndpoint": v1.Endpoint,
        "DeployModel": v1.DeployModelRequest,
        "MutateDeployedModel": v1.MutateDeployedModelRequest,
        "UndeployModel": v1.UndeployModelRequest,
    }
    OUTPUTS = {
        "GetEndpoint": v1.Endpoint,
        "UpdateEndpoint": v1.Endpoint,
        "GetModel": v1.Model,
        "ListEndpoints": v1.ListEndpointsResponse,
        "ListModels": v1.ListModelsResponse,
    }
    CHANGES = ("UploadModel", "CreateEndpoint", "DeployModel", "MutateDeployedModel", "UndeployModel", "DeleteEndpoint", "DeleteModel")

    def test_requests_and_answers_are_messages_of_the_vendor(self):
        seen = {operation: 0 for operation in {*self.INPUTS, *self.OUTPUTS, *self.CHANGES, "ListOperations"}}
        for exchange in (one for record in exchanges("vertexai") for one in record):
            operation, answer = exchange["operation"], exchange["answer"]
            if exchange["body"] and operation in self.INPUTS:
                self.INPUTS[operation].from_json(exchange["body"], ignore_unknown_fields=False)
                seen[operation] += 1
            if exchange["status"] != 200 or not answer:
                continue
            if operation in self.OUTPUTS:
                self.OUTPUTS[operation].from_json(answer, ignore_unknown_fields=False)
                seen[operation] += 1
            elif operation in self.CHANGES:
                json_format.Parse(answer, operations_pb2.Operation())
                seen[operation] += 1
            elif operation == "ListOperations":
                json_format.Parse(answer, operations_pb2.ListOperationsResponse())
                seen[operation] += 1
        self.assertEqual([operation for operation, count in seen.items() if count == 0], [])

    def test_no_call_of_the_driver_is_unknown(self):
        operations = {one["operation"] for record in exchanges("vertexai") for one in record}
        self.assertNotIn("unknown", operations)


class Baseten(unittest.TestCase):
    """Requests and answers are read by the vendor's own models, and none has a member that these do not know."""

    INPUTS = {
        "prepare": managementapi.PrepareModelUploadRequest,
        "create": managementapi.CreateModelRequest,
        "deploy": managementapi.CreateModelDeploymentRequest,
        "scale": managementapi.UpdateAutoscalingSettings,
        "createKey": managementapi.CreateAPIKeyRequest,
        "upsertSecret": managementapi.UpsertSecretRequest,
    }
    OUTPUTS = {
        "teams": managementapi.Teams,
        "find": managementapi.Models,
        "list": managementapi.Models,
        "get": managementapi.Model,
        "deployments": managementapi.Deployments,
        "prepare": managementapi.PrepareModelUploadResponse,
        "create": managementapi.CreatedModelDeployment,
        "deploy": managementapi.CreatedModelDeployment,
        "config": managementapi.DeploymentConfigResponse,
        "logs": managementapi.GetLogsResponse,
        "prices": managementapi.InstanceTypePrices,
        "scale": managementapi.UpdateAutoscalingSettingsResponse,
        "keys": managementapi.APIKeys,
        "createKey": managementapi.APIKey,
        "secrets": managementapi.Secrets,
        "upsertSecret": managementapi.Secret,
        "delete": managementapi.ModelTombstone,
        "deleteDeployment": managementapi.DeploymentTombstone,
        "deleteKey": managementapi.APIKeyTombstone,
        "deleteSecret": managementapi.SecretTombstone,
    }

    def known(self, body, read, path=""):
        """Fails where the body has a member that the vendor's model has not."""
        if isinstance(body, dict) and isinstance(read, dict):
            for name, value in body.items():
                self.assertIn(name, read, f"{path}.{name}")
                self.known(value, read[name], f"{path}.{name}")
        elif isinstance(body, list) and isinstance(read, list):
            for one, other in zip(body, read, strict=True):
                self.known(one, other, path)

    def config(self, body):
        deployment = body.get("deployment") or body["source"]["deployment"]
        config = modelconfig.ModelConfig.model_validate(deployment["config"])
        for part in (config, config.base_image, config.docker_server, config.runtime):
            self.assertEqual(part.model_extra, {}, deployment["config"])

    def test_requests_and_answers_are_models_of_the_vendor(self):
        seen = {operation: 0 for operation in {*self.INPUTS, *self.OUTPUTS}}
        inputs, outputs = set(), set()
        for exchange in (one for record in exchanges("baseten") for one in record):
            inputs.add((exchange["operation"], exchange["body"]))
            if exchange["status"] == 200 and not exchange["fault"]:
                outputs.add((exchange["operation"], exchange["answer"]))
        for models, bodies in ((self.INPUTS, inputs), (self.OUTPUTS, outputs)):
            for operation, text in ((operation, text) for operation, text in bodies if operation in models and text):
                body = json.loads(text)
                self.known(body, models[operation].model_validate(body).model_dump(mode="json"), operation)
                if models is self.INPUTS and operation in ("prepare", "create", "deploy"):
                    self.config(body)
                seen[operation] += 1
        self.assertEqual([operation for operation, count in seen.items() if count == 0], [])

    def test_no_call_of_the_driver_is_unknown(self):
        operations = {one["operation"] for record in exchanges("baseten") for one in record}
        self.assertLessEqual({"upload", "activate", "deactivate"}, operations)
        self.assertNotIn("unknown", operations)


class AzureML(unittest.TestCase):
    """Members of requests and answers are those of the vendor's generated models, at every depth, and have their types."""

    m = test_azure.m
    INPUTS = {
        "EnvironmentContainers_CreateOrUpdate": m.EnvironmentContainer,
        "EnvironmentVersions_CreateOrUpdate": m.EnvironmentVersion,
        "OnlineEndpoints_CreateOrUpdate": m.OnlineEndpoint,
        "OnlineEndpoints_Update": m.PartialMinimalTrackedResourceWithIdentity,
        "OnlineEndpoints_RegenerateKeys": m.RegenerateEndpointKeysRequest,
        "OnlineDeployments_CreateOrUpdate": m.OnlineDeployment,
        "OnlineDeployments_Update": m.PartialMinimalTrackedResourceWithSku,
    }
    OUTPUTS = {
        "Workspaces_Get": m.Workspace,
        "EnvironmentContainers_Get": m.EnvironmentContainer,
        "EnvironmentVersions_Get": m.EnvironmentVersion,
        "OnlineEndpoints_Get": m.OnlineEndpoint,
        "OnlineEndpoints_CreateOrUpdate": m.OnlineEndpoint,
        "OnlineEndpoints_ListKeys": m.EndpointAuthKeys,
        "OnlineDeployments_CreateOrUpdate": m.OnlineDeployment,
    }
    LISTS = {"OnlineEndpoints_List": m.OnlineEndpoint, "OnlineDeployments_List": m.OnlineDeployment}

    def setUp(self):
        self.judged = set()

    def known(self, model, value, path):
        """Checks that the model, with what it reads a member as, knows every member of the value and its type. One with the members of another
        is not read again: listings have ten thousand endpoints."""
        shape = (path, str(members(value)))
        if shape in self.judged:
            return
        self.judged.add(shape)
        self.assertIsInstance(value, dict, path)
        read = model._deserialize(value, [])
        names = {field._rest_name: name for name, field in read._attr_to_rest_field.items()}
        self.assertEqual(set(value) - set(names), set(), path)
        hints = typing.get_type_hints(type(read), localns={"_models": self.m})
        for name, inner in value.items():
            self.assertEqual(model_types.faults(inner, hints[names[name]], f"{path}.{name}"), [])
            shown = getattr(read, names[name])
            if isinstance(shown, test_azure.ModelBase) and isinstance(inner, dict):
                self.known(type(shown), inner, f"{path}.{name}")

    def test_requests_and_answers_have_only_members_of_the_vendors_models(self):
        seen = {operation: 0 for operation in {*self.INPUTS, *self.OUTPUTS, *self.LISTS}}
        for exchange in (one for record in exchanges("azure") for one in record):
            operation, answer = exchange["operation"], exchange["answer"]
            if exchange["body"] and operation in self.INPUTS:
                self.known(self.INPUTS[operation], json.loads(exchange["body"]), operation)
                seen[operation] += 1
            if exchange["status"] not in (200, 201) or exchange["fault"] == "status" or not answer:
                continue
            if operation in self.OUTPUTS:
                self.known(self.OUTPUTS[operation], json.loads(answer), operation)
                seen[operation] += 1
            elif operation in self.LISTS:
                for one in json.loads(answer)["value"]:
                    self.known(self.LISTS[operation], one, operation)
                seen[operation] += 1
        self.assertEqual([operation for operation, count in seen.items() if count == 0], [])

    def test_no_call_of_the_driver_is_unknown(self):
        operations = {one["operation"] for record in exchanges("azure") for one in record}
        self.assertNotIn("unknown", operations)


class DigitalOcean(unittest.TestCase):
    def test_requests_and_answers_are_those_of_the_vendors_document(self):
        judged = set()
        for record in exchanges("digitalocean"):
            judged |= test_digital_ocean.judge(record)
        operations = {one["operation"] for record in exchanges("digitalocean") for one in record}
        self.assertNotIn("unknown", operations)
        self.assertEqual(judged, operations - {"traffic"})
        self.assertLessEqual({"create", "update", "delete", "createToken", "deleteToken", "models", "sizes"}, judged)


class AzureOpenAI(unittest.TestCase):
    """Members of requests and answers are those of the vendor's generated models, at every depth, and have their types."""

    m = test_azure_openai.m
    INPUTS = {"Deployments_CreateOrUpdate": m.Deployment, "Deployments_Update": m.PatchResourceTagsAndSku}
    OUTPUTS = {
        "Accounts_Get": m.Account,
        "Deployments_Get": m.Deployment,
        "Deployments_CreateOrUpdate": m.Deployment,
        "Deployments_Update": m.Deployment,
    }
    LISTS = {"Accounts_ListModels": m.AccountModel, "Deployments_List": m.Deployment, "Usages_List": m.Usage}

    def setUp(self):
        self.judged = set()

    def enums(self, model):
        """Enums of a model by the members that have them: of these only its documentation tells."""
        told = re.findall(r":(?:ivar|vartype) (\w+): (?:str or\s+)?~azure\.mgmt\.cognitiveservices\.models\.(\w+)", model.__doc__)
        found = {model._attribute_map[name]["key"]: getattr(self.m, kind) for name, kind in told}
        return {name: kind for name, kind in found.items() if model_types.is_enum(kind)}

    def hint(self, type_):
        """The annotation that is meant by a type of the vendor's serializer."""
        if type_.startswith("["):
            return list[self.hint(type_[1:-1])]
        if type_.startswith("{"):
            return dict[str, self.hint(type_[1:-1])]
        plain = {"str": str, "int": int, "bool": bool, "float": float, "iso-8601": datetime.datetime, "object": typing.Any}
        return plain.get(type_) or getattr(self.m, type_)

    def known(self, model, value, path):
        """Checks that the model knows every member of the value and its type. One with the members of another is not read again."""
        shape = (path, str(members(value)))
        if shape in self.judged:
            return
        self.judged.add(shape)
        names = {member["key"]: member["type"] for member in model._attribute_map.values()}
        self.assertEqual(set(value) - set(names), set(), path)
        enums = self.enums(model)
        for name, inner in value.items():
            hint = enums.get(name) or self.hint(names[name])
            self.assertEqual(model_types.faults(inner, hint, f"{path}.{name}"), [])
            kind = getattr(self.m, names[name].strip("[]"), None)
            for one in inner if names[name].startswith("[") else [inner]:
                if hasattr(kind, "_attribute_map"):
                    self.known(kind, one, f"{path}.{name}")

    def test_requests_and_answers_have_only_members_of_the_vendors_models(self):
        seen = {operation: 0 for operation in {*self.INPUTS, *self.OUTPUTS, *self.LISTS}}
        for exchange in (one for record in exchanges("azureopenai") for one in record):
            operation, answer = exchange["operation"], exchange["answer"]
            if exchange["body"] and operation in self.INPUTS:
                self.known(self.INPUTS[operation], json.loads(exchange["body"]), operation)
                seen[operation] += 1
            if exchange["status"] not in (200, 201, 202) or exchange["fault"] == "status" or not answer:
                continue
            if operation in self.OUTPUTS:
                self.known(self.OUTPUTS[operation], json.loads(answer), operation)
                seen[operation] += 1
            elif operation in self.LISTS:
                for one in json.loads(answer)["value"]:
                    self.known(self.LISTS[operation], one, operation)
                seen[operation] += 1
        self.assertEqual([operation for operation, count in seen.items() if count == 0], [])

    def test_no_call_of_the_driver_is_unknown(self):
        operations = {one["operation"] for record in exchanges("azureopenai") for one in record}
        self.assertNotIn("unknown", operations)


if __name__ == "__main__":
    unittest.main()
