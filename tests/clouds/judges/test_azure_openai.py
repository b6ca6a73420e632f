"""Azure's own generated client runs the life of deployments of models on the fake, and OpenAI's client asks them."""

import os
import unittest

import openai
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.cognitiveservices import CognitiveServicesManagementClient
from azure.mgmt.cognitiveservices import models as m

import test_azure
from service import Fakes

AT = ("models", "acme-openai")
KEY = "key-of-the-fake-of-azure-openai"
MODEL = ("OpenAI-OSS", "gpt-oss-120b", "1")
SERVICE = "azureopenai"


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.url = self.fakes.urls["azureOpenai"]
        self.client = self.of("token-of-the-fake-of-azure")

    def of(self, token):
        client = CognitiveServicesManagementClient(
            test_azure.Credential(),
            test_azure.SUBSCRIPTION,
            base_url=self.url,
            authentication_policy=test_azure.Bearer(token),
            polling_interval=0,
            retry_total=0,
        )
        self.addCleanup(client.close)
        return client

    def end(self, poller, seconds):
        self.fakes.advance(seconds)
        return poller.result(10)

    def deploy(self, name="llama", sku="GlobalStandard", capacity=10, model=MODEL, tags=None):
        form, model_name, version = model
        body = m.Deployment(
            sku=m.Sku(name=sku, capacity=capacity),
            tags=tags or {"team": "a"},
            properties=m.DeploymentProperties(
                model=m.DeploymentModel(format=form, name=model_name, version=version), version_upgrade_option="NoAutoUpgrade"
            ),
        )
        return self.client.deployments.begin_create_or_update(*AT, name, body)

    def state(self, name="llama"):
        return self.client.deployments.get(*AT, name).properties.provisioning_state

    def openai(self, key=KEY):
        client = openai.OpenAI(base_url=f"{self.url}/openai/v1", api_key=key, max_retries=0)
        self.addCleanup(client.close)
        return client

    def chat(self, key=KEY, **more):
        return self.openai(key).chat.completions.create(model="llama", messages=[{"role": "user", "content": "ping"}], **more)


class Life(Case):
    def test_a_deployment_is_made_changed_listed_and_deleted(self):
        poller = self.deploy()
        self.assertEqual(self.state(), "Creating")
        made = self.end(poller, 30)
        self.assertEqual((made.properties.provisioning_state, made.sku.capacity, made.tags), ("Succeeded", 10, {"team": "a"}))
        self.assertTrue(made.system_data.created_at)
        change = m.PatchResourceTagsAndSku(tags={"team": "b"}, sku=m.Sku(name="GlobalStandard", capacity=20))
        poller = self.client.deployments.begin_update(*AT, "llama", change)
        self.assertEqual(self.state(), "Accepted")
        changed = self.end(poller, 10)
        self.assertEqual((changed.sku.capacity, changed.tags), (20, {"team": "b"}))
        self.end(self.deploy(model=("OpenAI-OSS", "gpt-oss-120b", "2")), 10)
        self.assertEqual([one.properties.model.version for one in self.client.deployments.list(*AT)], ["2"])
        poller = self.client.deployments.begin_delete(*AT, "llama")
        self.assertEqual(self.state(), "Deleting")
        self.end(poller, 10)
        with self.assertRaises(ResourceNotFoundError):
            self.client.deployments.get(*AT, "llama")
        self.client.deployments.begin_delete(*AT, "llama").result(10)

    def test_lists_have_pages(self):
        for number in range(60):
            self.end(self.deploy(f"one-{number}"), 30)
        self.assertEqual(len(list(self.client.deployments.list(*AT))), 60)

    def test_an_account_shows_itself_its_keys_models_and_quotas(self):
        account = self.client.accounts.get(*AT)
        self.assertEqual((account.location, account.properties.custom_sub_domain_name), ("westeurope", "acme-openai"))
        self.assertTrue(account.properties.date_created)
        self.assertEqual(self.client.accounts.list_keys(*AT).key1, KEY)
        usage = {sku.name: sku.usage_name for one in self.client.accounts.list_models(*AT) for sku in one.skus if one.name == MODEL[1]}
        self.end(self.deploy(), 30)
        used = {one.name.value: one.current_value for one in self.client.usages.list("westeurope")}
        self.assertEqual((used[usage["GlobalStandard"]], used[usage["Standard"]]), (10, 0))

    def test_provisioned_units_are_billed_and_tokens_are_not(self):
        self.end(self.deploy("tokens"), 30)
        self.assertEqual(self.fakes.state()[SERVICE]["billedUnitSeconds"], 0)
        self.end(self.deploy("units", "GlobalProvisionedManaged", 15), 30)
        self.assertEqual(self.fakes.state()[SERVICE]["billedUnitSeconds"], 450)


class Traffic(Case):
    def setUp(self):
        super().setUp()
        self.end(self.deploy(), 30)

    def test_a_request_names_the_deployment_and_the_answer_the_model(self):
        self.assertEqual(self.chat().model, "gpt-oss-120b-1")
        self.assertTrue(all(chunk.model == "gpt-oss-120b-1" for chunk in self.chat(stream=True)))
        self.assertIn("gpt-oss-120b-1", [one.id for one in self.openai().models.list()])

    def test_a_deployment_serves_while_it_changes(self):
        self.client.deployments.begin_update(*AT, "llama", m.PatchResourceTagsAndSku(sku=m.Sku(name="GlobalStandard", capacity=20)))
        self.assertEqual((self.state(), self.chat().model), ("Accepted", "gpt-oss-120b-1"))

    def test_a_token_of_entra_opens_it_and_one_of_resource_manager_does_not(self):
        credential = ClientSecretCredential(
            test_azure.TENANT, test_azure.CLIENT, test_azure.SECRET, disable_instance_discovery=True, transport=test_azure.ToFake(self.url)
        )
        self.addCleanup(credential.close)
        for audience in ("https://ai.azure.com", "https://cognitiveservices.azure.com"):
            self.assertTrue(self.chat(credential.get_token(f"{audience}/.default").token).choices)
        with self.assertRaises(openai.AuthenticationError):
            self.chat(credential.get_token(test_azure.MANAGEMENT).token)

    def test_a_deployment_that_does_not_serve_is_not_found(self):
        self.end(self.client.deployments.begin_delete(*AT, "llama"), 10)
        with self.assertRaises(openai.NotFoundError) as caught:
            self.chat()
        self.assertEqual(caught.exception.code, "DeploymentNotFound")


class Refusals(Case):
    def refused(self, status, code, call):
        with self.assertRaises(HttpResponseError) as caught:
            call()
        self.assertEqual((caught.exception.status_code, caught.exception.error.code), (status, code), caught.exception)

    def test_forms_are_checked(self):
        self.refused(400, "DeploymentModelNotSupported", lambda: self.deploy(model=("OpenAI", "gpt-9", "1")))
        self.refused(400, "InvalidResourceProperties", lambda: self.deploy(sku="S0"))
        self.refused(400, "InvalidResourceProperties", lambda: self.deploy(capacity=0))
        self.refused(404, "ResourceNotFound", lambda: self.client.deployments.get(*AT, "llama"))

    def test_an_account_takes_one_change_at_a_time(self):
        self.deploy()
        self.refused(409, "RequestConflict", lambda: self.deploy("other"))

    def test_a_lack_of_units_shows_late(self):
        reason = "There is not enough capacity for 10 units of GlobalStandard in westeurope."
        effect = {"kind": "failLate", "afterSeconds": 60, "reason": reason}
        self.fakes.script({"service": SERVICE, "operation": "Deployments_CreateOrUpdate", "effect": effect})
        poller = self.deploy()
        with self.assertRaises(HttpResponseError) as caught:
            self.end(poller, 60)
        self.assertEqual((caught.exception.error.code, caught.exception.error.message), ("InsufficientCapacity", reason))
        self.assertEqual(self.state(), "Failed")

    def test_a_token_must_be_valid(self):
        with self.assertRaises(ClientAuthenticationError):
            self.of("another").accounts.get(*AT)


if __name__ == "__main__":
    unittest.main()
