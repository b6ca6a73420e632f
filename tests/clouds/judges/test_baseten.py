"""Baseten's fake, judged by the vendor's own client: baseten runs the whole life of a model, and boto3 uploads its archive."""

import gzip
import io
import json
import os
import tarfile
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
from baseten.client import ManagementClient
from baseten.client import managementapi as api
from baseten.client.modelconfig import ModelConfig

import service

KEY, TEAM = "key-of-the-fake.with-all-rights", "team-of-the-fake"
SERVER = {
    "start_command": "vllm serve org/m --served-model-name llama --port 8000",
    "server_port": 8000,
    "predict_endpoint": "/v1/chat/completions",
    "readiness_endpoint": "/health",
    "liveness_endpoint": "/health",
}
CONFIG = {"model_name": "e", "base_image": {"image": "vllm/vllm-openai:v0.20.0"}, "docker_server": SERVER}


def fault(operation, kind, times=1, **more):
    return {"service": "baseten", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


def archive(files):
    """A gzipped tar of these files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text)
            tar.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


def payload(**changes):
    body = {
        "config": CONFIG,
        "environment_name": "production",
        "region": "eu-west",
        "preserve_env_instance_type": False,
        "labels": {"installId": "prod"},
        "instance_type_id": "L4x4x16",
        "autoscaling_settings": {"min_replica": 1, "max_replica": 1, "concurrency_target": 64},
    }
    return api.DeploymentArchivePayload.model_validate({**body, **changes})


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        self.client = ManagementClient(api_key=KEY, base_url_override=self.fakes.urls["baseten"])
        self.addCleanup(self.client.close)
        self.api = self.client.api

    def store(self, creds, region):
        return boto3.client(
            "s3",
            endpoint_url=self.fakes.urls["baseten"],
            region_name=region,
            aws_access_key_id=creds.aws_access_key_id,
            aws_secret_access_key=creds.aws_secret_access_key,
            aws_session_token=creds.aws_session_token,
            config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

    def upload(self, deployment, data=None, **where):
        prepared = self.api.post_prepare_model_upload(
            request=api.PrepareModelUploadRequest(deployment=deployment, **where)
        )
        store = self.store(prepared.creds, prepared.s3_region)
        store.put_object(Bucket=prepared.s3_bucket, Key=prepared.s3_key, Body=data or archive({"config.yaml": json.dumps(CONFIG)}))
        return prepared.s3_key

    def create(self, name="e", **changes):
        deployment = payload(**changes)
        source = api.ModelArchiveSource(name=name, deployment=deployment, s3_key=self.upload(deployment, name=name))
        return self.api.post_teams_models(team_id=TEAM, request=api.CreateModelRequest(source=source))

    def deploy(self, model, **changes):
        deployment = payload(**changes)
        source = api.DeploymentArchiveSource(deployment=deployment, s3_key=self.upload(deployment, model_id=model))
        request = api.CreateModelDeploymentRequest(source=source)
        return self.api.post_models_deployments(model_id=model, request=request).deployment

    def deployments(self, model):
        return self.api.get_models_deployments(model_id=model).deployments

    def active(self, **changes):
        made = self.create(**changes)
        self.fakes.advance(210)
        [deployment] = self.deployments(made.model.id)
        self.assertEqual(deployment.status, "ACTIVE")
        return made.model.id, deployment.id

    def refused(self, status, text, call, *arguments, **more):
        with self.assertRaises(api.ResponseError) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.status_code, status)
        self.assertIn(text, caught.exception.body)

    def ask(self, model, key, path="/v1/models"):
        url = f"{self.fakes.urls['baseten']}/serve/{model}/environments/production/sync{path}"
        request = urllib.request.Request(url, headers={"authorization": f"Api-Key {key}"} if key else {})
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


class Life(Case):
    def test_created_scaled_deactivated_and_deleted(self):
        [team] = self.api.get_teams().teams
        self.assertEqual((team.id, team.default), (TEAM, True))
        made = self.create()
        self.assertEqual((made.model.name, made.deployment.status, made.deployment.autoscaling_settings), ("e", "BUILDING", None))
        self.assertEqual(self.ask(made.model.id, KEY)[0], 503)
        seen = []
        for seconds in (60, 30, 120):
            self.fakes.advance(seconds)
            seen.append(self.deployments(made.model.id)[0].status)
        self.assertEqual(seen, ["DEPLOYING", "LOADING_MODEL", "ACTIVE"])
        [deployment] = self.deployments(made.model.id)
        self.assertEqual((deployment.environment, deployment.region.slug, deployment.labels), ("production", "eu-west", {"installId": "prod"}))
        status, body = self.ask(made.model.id, KEY)
        self.assertTrue(status == 200 and '"llama"' in body, body)

        here = {"model_id": made.model.id, "deployment_id": deployment.id}
        scale = self.api.patch_models_deployments_autoscaling_settings
        two = api.UpdateAutoscalingSettings(min_replica=2, max_replica=2)
        self.assertEqual([scale(request=two, **here).status for _ in range(2)], ["ACCEPTED", "UNCHANGED"])
        self.assertEqual(self.deployments(made.model.id)[0].active_replica_count, 1)
        self.fakes.advance(120)
        self.assertEqual(self.deployments(made.model.id)[0].active_replica_count, 2)
        self.assertTrue(self.api.post_models_deployments_deactivate(**here).success)
        self.assertEqual((self.deployments(made.model.id)[0].status, self.ask(made.model.id, KEY)[0]), ("INACTIVE", 503))
        self.assertTrue(self.api.post_models_deployments_activate(**here).success)
        self.fakes.advance(150)
        self.assertEqual(self.deployments(made.model.id)[0].status, "ACTIVE")

        self.assertEqual([one.name for one in self.api.get_models().models], ["e"])
        self.assertEqual([one.id for one in self.api.get_teams_models(team_id=TEAM).models], [made.model.id])
        self.assertTrue(self.api.delete_models(model_id=made.model.id).deleted)
        self.refused(404, "not found", self.api.get_models_model_id, model_id=made.model.id)
        self.assertEqual(self.api.get_models().models, [])
        state = self.fakes.state()["baseten"]
        self.assertEqual((state["models"], state["billedReplicaSeconds"]), ([], 120 + 2 * 120 + 2 * 120))

    def test_another_deployment_takes_over_once_it_is_active(self):
        model, former = self.active()
        made = self.deploy(model, config={**CONFIG, "docker_server": {**SERVER, "start_command": "vllm serve org/other"}})
        self.fakes.advance(209)
        self.assertIn('"root":"org/m"', self.ask(model, KEY)[1])
        self.fakes.advance(1)
        self.assertIn('"root":"org/other"', self.ask(model, KEY)[1])
        states = {one.id: (one.status, one.is_production) for one in self.deployments(model)}
        self.assertEqual(states, {former: ("SCALED_TO_ZERO", False), made.id: ("ACTIVE", True)})
        remove = self.api.delete_models_deployments
        self.refused(400, "production", remove, model_id=model, deployment_id=made.id)
        self.assertTrue(remove(model_id=model, deployment_id=former).deleted)

    def test_the_config_comes_back_and_is_one_of_the_vendor(self):
        model, deployment = self.active(config={**CONFIG, "environment_variables": {"A": "b"}})
        config = self.api.get_models_deployments_config(model_id=model, deployment_id=deployment).config
        read = ModelConfig.model_validate(config)
        self.assertEqual((read.environment_variables, read.docker_server.server_port), ({"A": "b"}, 8000))

    def test_prices(self):
        prices = {one.instance_type.id: one for one in self.api.get_instance_type_prices().instance_types}
        self.assertEqual((prices["H100x8"].instance_type.gpu_count, prices["H100x8"].price), (8, 0.86667))

    def test_keys_for_one_model_are_shown_once_and_revoked(self):
        model, _ = self.active()
        other = self.create("other").model.id
        request = api.CreateAPIKeyRequest(name="e", type="WORKSPACE_INVOKE", model_ids=[model])
        key = self.api.post_teams_api_keys(team_id=TEAM, request=request).api_key
        self.assertEqual([self.ask(model, key)[0], self.ask(other, key)[0], self.ask(model, None)[0]], [200, 401, 401])
        [listed] = self.api.get_api_keys().keys
        self.assertEqual((listed.name, listed.model_ids, key.startswith(listed.prefix)), ("e", [model], True))
        with ManagementClient(api_key=key, base_url_override=self.fakes.urls["baseten"]) as client:
            self.refused(403, "inference only", client.api.get_models)
        self.api.delete_api_keys(api_key_prefix=listed.prefix)
        self.assertEqual((self.ask(model, key)[0], self.api.get_api_keys().keys), (401, []))
        request = api.CreateAPIKeyRequest(name="a b", type="WORKSPACE_INVOKE")
        self.refused(400, "hyphens", self.api.post_teams_api_keys, team_id=TEAM, request=request)

    def test_secrets_are_written_and_not_read(self):
        request = api.UpsertSecretRequest(name="e-token", value="word")
        self.assertEqual(self.api.post_teams_secrets(team_id=TEAM, request=request).name, "e-token")
        [listed] = self.api.get_teams_secrets(team_id=TEAM).secrets
        self.assertNotIn("word", listed.model_dump_json())
        self.api.delete_teams_secrets(team_id=TEAM, secret_name="e-token")
        self.assertEqual(self.api.get_teams_secrets(team_id=TEAM).secrets, [])


class Refusals(Case):
    def test_names(self):
        self.create()
        self.refused(400, "already exists", self.create)
        self.refused(400, "must not be empty", self.create, "")

    def test_payloads(self):
        self.refused(400, "instance type", self.create, instance_type_id="Z9")
        self.refused(400, "region mars", self.create, region="mars")
        self.refused(400, "base_image.image", self.create, config={"docker_server": SERVER})

    def test_a_port_that_the_service_uses_itself(self):
        made = self.create(config={**CONFIG, "docker_server": {**SERVER, "server_port": 8080}})
        self.fakes.advance(210)
        self.assertEqual(self.deployments(made.model.id)[0].status, "DEPLOY_FAILED")

    def test_an_archive_is_uploaded_with_the_credentials_for_it(self):
        deployment = payload()
        source = api.ModelArchiveSource(name="e", deployment=deployment, s3_key="elsewhere")
        create = self.api.post_teams_models
        self.refused(400, "no archive", create, team_id=TEAM, request=api.CreateModelRequest(source=source))
        for data in (b"x", gzip.compress(b"x"), archive({"other": "x"})):
            with self.assertRaises(botocore.exceptions.ClientError):
                self.upload(deployment, data, name="e")
        prepare = api.PrepareModelUploadRequest(deployment=deployment, name="e")
        one, two = (self.api.post_prepare_model_upload(request=prepare) for _ in range(2))
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.store(one.creds, one.s3_region).put_object(Bucket=two.s3_bucket, Key=two.s3_key, Body=b"x")
        self.assertEqual(caught.exception.response["Error"]["Code"], "AccessDenied")
        self.fakes.advance(3600)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.store(one.creds, one.s3_region).put_object(Bucket=one.s3_bucket, Key=one.s3_key, Body=b"x")
        self.assertEqual(caught.exception.response["Error"]["Code"], "ExpiredTokenException")

    def test_keys(self):
        with ManagementClient(api_key="other", base_url_override=self.fakes.urls["baseten"]) as client:
            self.refused(401, "Invalid API key", client.api.get_models)


class Faults(Case):
    def test_throttled_denied_and_html(self):
        self.fakes.script(fault("find", "throttle", afterSeconds=37))
        self.refused(429, '"retry_after":37', self.api.get_models)
        self.fakes.script(fault("find", "deny"))
        self.refused(403, "no right", self.api.get_models)
        self.fakes.script(fault("find", "html", status=502))
        self.refused(502, "<html>", self.api.get_models)

    def test_a_failure_shows_late_and_its_reason_is_in_the_logs(self):
        self.fakes.script(fault("create", "failLate", afterSeconds=300, reason="quota of GPUs exceeded"))
        made = self.create()
        self.fakes.advance(299)
        self.assertEqual(self.deployments(made.model.id)[0].status, "DEPLOYING")
        self.fakes.advance(1)
        [deployment] = self.deployments(made.model.id)
        self.assertEqual(deployment.status, "DEPLOY_FAILED")
        logs = self.api.get_models_deployments_logs(model_id=made.model.id, deployment_id=deployment.id).logs
        self.assertEqual((logs[-1].message, logs[-1].level), ("quota of GPUs exceeded", "ERROR"))
        self.assertEqual(self.fakes.state()["baseten"]["billedReplicaSeconds"], 0)

    def test_lost_answers_late_lists_and_unknown_states(self):
        self.fakes.script(fault("create", "loseRequest"))
        self.assertRaises(Exception, self.create)
        self.assertEqual(self.api.get_models().models, [])
        self.fakes.script(fault("create", "loseAnswer"))
        self.assertRaises(Exception, self.create)
        self.assertEqual(len(self.api.get_models().models), 1)
        self.fakes.script(fault("create", "hide", seconds=30, hidden="fromLists"))
        second = self.create("e2").model.id
        self.assertEqual((len(self.api.get_models().models), self.api.get_models_model_id(model_id=second).name), (1, "e2"))
        self.assertEqual(self.deployments(second), [])
        self.fakes.advance(30)
        self.fakes.script(fault("deployments", "status", value="HIBERNATING"))
        self.assertEqual(self.deployments(second)[0].status, "HIBERNATING")
        self.fakes.script(fault("delete", "stuck"))
        self.api.delete_models(model_id=second)
        self.assertEqual(self.api.get_models_model_id(model_id=second).name, "e2")


if __name__ == "__main__":
    unittest.main()
