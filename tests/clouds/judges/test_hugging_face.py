"""Hugging Face's fake, judged by the vendor's own client: huggingface_hub runs the whole life of an endpoint."""

import json
import os
import unittest
import unittest.mock
import urllib.error
import urllib.request

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, InferenceEndpointError, InferenceEndpointTimeoutError

import service

TOKEN, NAMESPACE = "hf-token-of-the-fake", "acme"
IMAGE = {"vLLM": {"url": "vllm/vllm-openai:v0.20.0", "tensorParallelSize": 1, "nobodyKnows": 1}}


def fault(operation, kind, times=1, **more):
    return {"service": "huggingface", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)
        former = constants.INFERENCE_ENDPOINTS_ENDPOINT
        constants.INFERENCE_ENDPOINTS_ENDPOINT = self.fakes.urls["huggingFace"] + "/v2"
        self.addCleanup(setattr, constants, "INFERENCE_ENDPOINTS_ENDPOINT", former)
        self.addCleanup(huggingface_hub.close_session)
        # Endpoints that the client returns take the token from here.
        environment = unittest.mock.patch.dict(os.environ, {"HF_TOKEN": TOKEN})
        environment.start()
        self.addCleanup(environment.stop)
        self.api = huggingface_hub.HfApi(token=TOKEN)

    def create(self, name="e", **changes):
        body = {
            "repository": "org/m",
            "framework": "pytorch",
            "accelerator": "gpu",
            "instance_size": "x1",
            "instance_type": "nvidia-l4",
            "region": "eu-west-1",
            "vendor": "aws",
            "type": "authenticated",
            "min_replica": 1,
            "max_replica": 1,
            "scale_to_zero_timeout": None,
            "custom_image": IMAGE,
            "container_args": ["--served-model-name", "llama"],
            "secrets": {"HF_TOKEN": "word"},
            "tags": ["roadstead"],
            "namespace": NAMESPACE,
        }
        return self.api.create_inference_endpoint(name, **{**body, **changes})

    def get(self, name="e"):
        return self.api.get_inference_endpoint(name, namespace=NAMESPACE)

    def running(self, **changes):
        self.create(**changes)
        self.fakes.advance(270)
        return self.get()

    def refused(self, status, text, call, *arguments, **more):
        with self.assertRaises(HfHubHTTPError) as caught:
            call(*arguments, **more)
        self.assertEqual(caught.exception.response.status_code, status)
        self.assertIn(text, caught.exception.response.text)
        return caught.exception.response

    def ask(self, endpoint, path="/v1/models", token=TOKEN, **headers):
        request = urllib.request.Request(endpoint.url + path)
        if token:
            request.add_header("authorization", f"Bearer {token}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()


class Life(Case):
    def test_an_endpoint_is_created_serves_is_updated_and_deleted(self):
        endpoint = self.create()
        self.assertEqual((endpoint.status, endpoint.url), ("pending", None))
        self.assertRaises(InferenceEndpointTimeoutError, endpoint.wait, timeout=0, refresh_every=1)
        self.fakes.advance(30)
        self.assertEqual(endpoint.fetch().status, "initializing")
        self.fakes.advance(240)
        endpoint.wait(timeout=5, refresh_every=1)
        self.assertEqual(endpoint.status, "running")
        status, body = self.ask(endpoint)
        self.assertTrue(status == 200 and '"llama"' in body, body)
        answer = endpoint.client.chat_completion([{"role": "user", "content": "hello"}], model="llama")
        self.assertEqual(answer.choices[0].message.role, "assistant")

        endpoint.update(min_replica=2, max_replica=2)
        self.assertEqual((endpoint.status, endpoint.raw["status"]["readyReplica"]), ("updating", 1))
        self.assertEqual(self.ask(endpoint)[0], 200)
        self.fakes.advance(240)
        endpoint.wait(timeout=5, refresh_every=1)
        self.assertEqual(endpoint.raw["status"]["readyReplica"], 2)
        self.assertEqual(endpoint.raw["compute"]["instanceType"], "nvidia-l4")

        self.assertEqual([one.name for one in self.api.list_inference_endpoints(NAMESPACE)], ["e"])
        endpoint.delete()
        self.refused(404, "not found", self.get)
        self.assertEqual(self.api.list_inference_endpoints(NAMESPACE), [])
        state = self.fakes.state()["huggingface"]
        self.assertEqual(state, {"endpoints": [], "billedReplicaSeconds": 240 + 2 * 240})

    def test_pause_resume_and_zero(self):
        endpoint = self.running()
        self.assertEqual(endpoint.resume(running_ok=True).status, "running")
        self.refused(400, "already running", endpoint.resume, running_ok=False)
        url = endpoint.url
        self.assertEqual((endpoint.pause().status, endpoint.url), ("paused", None))
        self.fakes.advance(3600)
        endpoint.url = url
        self.assertEqual(self.ask(endpoint)[0], 400)
        self.assertEqual(self.get().status, "paused")
        self.refused(400, "paused", self.get().scale_to_zero)
        self.assertEqual(self.get().resume().status, "pending")
        self.fakes.advance(270)
        self.assertEqual(self.get().scale_to_zero().status, "scaledToZero")
        self.assertEqual(self.fakes.state()["huggingface"]["endpoints"][0]["billedReplicas"], 0)

    def test_an_idle_endpoint_falls_asleep_and_a_request_wakes_it(self):
        endpoint = self.running(min_replica=0, scale_to_zero_timeout=15)
        self.fakes.advance(14 * 60)
        self.assertEqual(self.ask(endpoint)[0], 200)
        self.fakes.advance(14 * 60)
        self.assertEqual(self.get().status, "running")
        self.fakes.advance(60)
        self.assertEqual(self.get().status, "scaledToZero")
        self.assertEqual(self.ask(endpoint)[0], 503)
        self.assertEqual(self.get().status, "pending")
        self.fakes.advance(270)
        self.assertEqual(self.ask(endpoint)[0], 200)

    def test_a_request_can_wait_for_the_endpoint_to_wake(self):
        endpoint = self.running(min_replica=0, scale_to_zero_timeout=15)
        self.fakes.advance(15 * 60)
        self.assertEqual(self.ask(endpoint)[0], 503)
        self.fakes.advance(270)
        self.assertEqual(self.ask(endpoint, x_scale_up_timeout="5")[0], 200)

    def test_a_token_has_a_namespace(self):
        # The client asks another host for the identity of its token.
        request = urllib.request.Request(self.fakes.urls["huggingFace"] + "/api/whoami-v2")
        request.add_header("authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            self.assertEqual([org["name"] for org in json.load(answer)["orgs"]], [NAMESPACE])

    def test_hardware_has_prices_availability_and_quota(self):
        self.create(max_replica=3)
        found = {one.id: one for one in self.api.list_inference_endpoints_hardware(namespace=NAMESPACE)}
        four = found["aws-eu-west-1-nvidia-l4-x4"]
        self.assertEqual((four.price_per_hour, four.status, four.num_accelerators), (3.8, "available", 4))
        self.assertEqual((four.used_accelerators, four.max_accelerators), (3, 64))
        self.assertEqual({one.status for one in found.values()}, {"available", "deprecated", "not_available"})


class Refusals(Case):
    def test_names(self):
        self.create()
        self.refused(409, "already exists", self.create)
        for name in ("E", "a_b", "a" * 33):
            self.refused(400, "name", self.create, name)

    def test_hardware_and_quota(self):
        text = "Instance compute 'Gpu' - 'c6i' - 'x1' in 'aws' - 'eu-west-1' not found"
        self.refused(400, text, self.create, instance_type="c6i")
        self.refused(400, "not found", self.create, instance_type="nvidia-t4", region="us-east-1")
        self.refused(400, "Quota exceeded", self.create, max_replica=65)
        self.assertEqual(self.fakes.state()["huggingface"]["endpoints"], [])

    def test_bodies(self):
        self.refused(400, "expected one of public", self.create, type="secret")
        self.refused(400, "minReplica", self.create, min_replica=2)
        image = {"vLLM": {"tensorParallelSize": 1}}
        self.refused(400, "missing field `url`", self.create, custom_image=image)

    def test_tokens(self):
        self.create()
        other = huggingface_hub.HfApi(token="hf_other")
        self.refused(401, "credentials", other.get_inference_endpoint, "e", namespace=NAMESPACE)
        self.refused(401, "credentials", self.api.get_inference_endpoint, "e", namespace="elsewhere")
        self.fakes.advance(270)
        endpoint = self.get()
        self.assertEqual((self.ask(endpoint, token=None)[0], self.ask(endpoint)[0]), (401, 200))

    def test_a_public_endpoint_is_guarded_by_its_own_key(self):
        endpoint = self.running(type="public", secrets={"VLLM_API_KEY": "key"})
        answers = [self.ask(endpoint, token=token)[0] for token in (None, TOKEN, "key")]
        self.assertEqual(answers, [401, 401, 200])

    def test_secrets_do_not_come_back(self):
        raw = self.running().raw
        self.assertEqual(raw["model"]["secrets"], {"HF_TOKEN": "***"})

    def test_a_client_for_an_endpoint_that_does_not_run(self):
        with self.assertRaises(InferenceEndpointError):
            self.create().client


class Faults(Case):
    def test_throttled_denied_and_html(self):
        self.fakes.script(fault("list", "throttle", afterSeconds=7))
        with urllib.request.urlopen(self.fakes.urls["admin"] + "/rules", timeout=5) as answer:
            self.assertEqual(answer.status, 200)
        request = urllib.request.Request(f"{self.fakes.urls['huggingFace']}/v2/endpoint/{NAMESPACE}")
        with self.assertRaises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=5)
        with caught.exception as answer:
            self.assertEqual((answer.code, answer.headers["retry-after"]), (429, "7"))
        self.fakes.script(fault("list", "deny"))
        self.refused(403, "right", self.api.list_inference_endpoints, NAMESPACE)
        self.fakes.script(fault("list", "html", status=502))
        self.refused(502, "<html>", self.api.list_inference_endpoints, NAMESPACE)

    def test_a_lack_of_hardware_shows_late_and_costs_nothing(self):
        self.create(instance_type="nvidia-b200", region="us-east-1")
        self.fakes.advance(599)
        self.assertEqual(self.get().status, "initializing")
        self.fakes.advance(1)
        endpoint = self.get()
        self.assertEqual(endpoint.status, "failed")
        self.assertIn("not enough hardware capacity", endpoint.raw["status"]["message"])
        self.assertRaises(InferenceEndpointError, endpoint.wait, timeout=5)
        self.assertEqual(self.fakes.state()["huggingface"]["billedReplicaSeconds"], 0)

    def test_lost_answers_late_lists_and_unknown_states(self):
        self.fakes.script(fault("create", "loseRequest"))
        self.assertRaises(Exception, self.create)
        self.refused(404, "not found", self.get)
        self.fakes.script(fault("create", "loseAnswer"))
        self.assertRaises(Exception, self.create)
        self.assertEqual(self.get().status, "pending")
        self.fakes.script(fault("create", "hide", seconds=30, hidden="fromLists"))
        self.create("e2")
        self.assertEqual(len(self.api.list_inference_endpoints(NAMESPACE)), 1)
        self.fakes.script(fault("get", "status", value="hibernating"))
        self.assertEqual(self.get().status, "hibernating")
        self.fakes.script(fault("delete", "linger", seconds=60))
        self.get().delete()
        self.refused(404, "not found", self.get)
        self.assertEqual(len(self.api.list_inference_endpoints(NAMESPACE)), 1)
        self.fakes.script(fault("delete", "stuck"))
        self.get("e2").delete()
        self.assertEqual(self.get("e2").name, "e2")

    def test_a_failed_deletion_can_be_asked_for_again(self):
        endpoint = self.running()
        self.fakes.script(fault("delete", "failLate", afterSeconds=5, reason="the deletion failed"))
        endpoint.delete()
        self.assertEqual((endpoint.fetch().status, endpoint.raw["status"]["message"]), ("failed", "the deletion failed"))
        endpoint.delete()
        self.refused(404, "not found", self.get)

    def test_a_failed_update_leaves_the_former_form(self):
        endpoint = self.running()
        self.fakes.script(fault("update", "failLate", afterSeconds=60, reason="bad image", leaves="rolledBack"))
        endpoint.update(repository="org/other")
        self.fakes.advance(60)
        self.assertEqual((endpoint.fetch().status, endpoint.repository), ("updateFailed", "org/other"))
        self.assertEqual(endpoint.raw["status"]["message"], "bad image")
        status, body = self.ask(endpoint)
        self.assertTrue(status == 200 and '"root":"org/m"' in body, body)


if __name__ == "__main__":
    unittest.main()
