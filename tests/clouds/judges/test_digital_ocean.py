"""DigitalOcean's fake, judged by the vendor's own OpenAPI document: every request and answer of the life of an instance is validated."""

import json
import os
import pathlib
import unittest
import urllib.error
import urllib.parse
import urllib.request

from openapi_core import OpenAPI
from openapi_core.datatypes import RequestParameters

import service

TOKEN = "dop_v1_token_of_the_fake"
SPEC = OpenAPI.from_file_path(str(pathlib.Path(__file__).parent / "digitalocean.openapi.yaml"))
HOST = "https://api.digitalocean.com"
GPU = "gpu-h100x1-80gb"


def fault(operation, kind, times=1, **more):
    return {"service": "digitalocean", "operation": operation, "times": times, "effect": {"kind": kind, **more}}


class RecordedRequest:
    """A recorded request, as the validator reads it."""

    def __init__(self, exchange):
        url = urllib.parse.urlsplit(exchange["target"])
        self.host_url, self.path = HOST, url.path
        self.full_url_pattern = HOST + url.path
        self.method = exchange["method"].lower()
        query = dict(urllib.parse.parse_qsl(url.query))
        headers = {name.title(): value for name, value in exchange["headers"]}
        self.parameters = RequestParameters(query=query, header=headers, cookie={}, path={})
        self.content_type = headers.get("Content-Type", "application/json")
        self.body = exchange["body"].encode() or None


class RecordedAnswer:
    """A recorded answer, as the validator reads it."""

    def __init__(self, exchange):
        self.status_code = exchange["status"]
        self.headers = dict(exchange["answerHeaders"])
        self.content_type = "application/json"
        self.data = (exchange["answer"] or "").encode()


def judge(exchanges):
    """Validates requests and answers; returns the operations that were judged."""
    judged = set()
    for exchange in exchanges:
        if exchange["operation"] in ("traffic", "unknown") or exchange["fault"] or not exchange["status"]:
            continue
        request = RecordedRequest(exchange)
        # What is refused as unprocessable is no valid request, and its refusal is an unexpected error of the document.
        if exchange["status"] not in (401, 403, 422):
            SPEC.validate_request(request)
        SPEC.validate_response(request, RecordedAnswer(exchange))
        judged.add(exchange["operation"])
    return judged


class Case(unittest.TestCase):
    def setUp(self):
        self.fakes = service.Fakes(os.environ["CLOUDS"])
        self.addCleanup(self.fakes.end)

    def tearDown(self):
        judge(one for one in self.fakes.requests() if one["service"] == "digitalocean")

    def ask(self, method, path, body=None, token=TOKEN):
        request = urllib.request.Request(self.fakes.urls["digitalOcean"] + path, method=method)
        request.add_header("authorization", f"Bearer {token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("content-type", "application/json")
        try:
            with urllib.request.urlopen(request, data, timeout=5) as answer:
                text = answer.read().decode()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                text = error.read().decode()
                return error.code, json.loads(text) if text.startswith("{") else text

    def spec(self, name="e", scale=1, slug="example/llama", gpu=GPU, **more):
        accelerators = [{"accelerator_slug": gpu, "scale": scale, "type": "prefill_decode"}]
        deployment = {"model_slug": slug, "model_provider": "hugging_face", "accelerators": accelerators}
        spec = {
            "version": 1,
            "name": name,
            "region": "nyc2",
            "vpc": {"uuid": "997615ce-132d-4bae-9270-9ee21b395e5d"},
            "enable_public_endpoint": True,
            "model_deployments": [deployment],
        }
        return {"spec": {**spec, **more}}

    def create(self, *arguments, **more):
        status, body = self.ask("POST", "/v2/dedicated-inferences", self.spec(*arguments, **more))
        self.assertEqual(status, 202, body)
        return f"/v2/dedicated-inferences/{body['dedicated_inference']['id']}", body["token"]["value"]

    def status(self, path):
        return self.ask("GET", path)[1]["dedicated_inference"]["status"]

    def models(self, path, token):
        """Status and text of the list of models of an instance."""
        url = self.ask("GET", path)[1]["dedicated_inference"]["endpoints"]["public_endpoint_fqdn"]
        status, body = self.ask("GET", urllib.parse.urlsplit(url).path + "/v1/models", token=token)
        return status, json.dumps(body)

    def refused(self, status, text, *call):
        code, body = self.ask(*call)
        self.assertEqual(code, status, body)
        self.assertIn(text, body["message"])


class Life(Case):
    def test_created_updated_and_deleted(self):
        path, token = self.create()
        seen = [self.status(path)]
        for seconds in (20, 280):
            self.fakes.advance(seconds)
            seen.append(self.status(path))
        self.assertEqual(seen, ["new", "provisioning", "active"])
        status, body = self.models(path, token)
        self.assertTrue(status == 200 and '"example/llama"' in body, body)
        self.assertEqual(self.models(path, "di_other")[0], 401)

        self.assertEqual(self.ask("PATCH", path, self.spec(scale=2))[0], 202)
        shown = self.ask("GET", path)[1]["dedicated_inference"]
        scales = [one["model_deployments"][0]["accelerators"][0]["scale"] for one in (shown["spec"], shown["pending_deployment_spec"])]
        self.assertEqual((shown["status"], scales, self.models(path, token)[0]), ("updating", [1, 2], 200))
        self.fakes.advance(280)
        self.assertEqual(self.status(path), "active")

        self.assertEqual(self.ask("DELETE", path), (202, None))
        self.assertEqual(self.status(path), "deleting")
        self.fakes.advance(60)
        self.refused(404, "could not be found", "GET", path)
        state = self.fakes.state()["digitalocean"]
        self.assertEqual(state, {"instances": [], "billedGpuSeconds": 280 + 2 * 280})
        judged = judge(one for one in self.fakes.requests() if one["service"] == "digitalocean")
        self.assertEqual(judged, {"create", "get", "update", "delete"})

    def test_tokens_are_shown_once_and_revoked(self):
        path, first = self.create()
        self.fakes.advance(300)
        status, body = self.ask("POST", path + "/tokens", {"name": "roadstead"})
        second = body["token"]["value"]
        self.assertEqual((status, self.models(path, first)[0], self.models(path, second)[0]), (202, 200, 200))
        listed = self.ask("GET", path + "/tokens")[1]
        self.assertEqual(([one["name"] for one in listed["tokens"]], listed["meta"]["total"]), (["default", "roadstead"], 2))
        self.assertNotIn(second, json.dumps(listed))
        self.assertEqual(self.ask("DELETE", f"{path}/tokens/{listed['tokens'][0]['id']}"), (204, None))
        self.assertEqual((self.models(path, first)[0], self.models(path, second)[0]), (401, 200))

    def test_lists_have_pages(self):
        for number in range(3):
            self.create(f"e-{number}")
        first = self.ask("GET", "/v2/dedicated-inferences?per_page=2&region=nyc2")[1]
        self.assertEqual((len(first["dedicated_inferences"]), first["meta"]["total"]), (2, 3))
        url = urllib.parse.urlsplit(first["links"]["pages"]["next"])
        last = self.ask("GET", f"{url.path}?{url.query}")[1]
        self.assertEqual(([one["spec"]["name"] for one in last["dedicated_inferences"]], last["links"]["pages"]), (["e-2"], {}))
        self.assertEqual(self.ask("GET", "/v2/dedicated-inferences?region=tor1")[1]["dedicated_inferences"], [])

    def test_account_prices_and_models(self):
        self.assertEqual(self.ask("GET", "/v2/account")[1]["account"]["team"]["name"], "models")
        sizes = self.ask("GET", "/v2/dedicated-inferences/sizes")[1]
        self.assertEqual(sizes["enabled_regions"], ["atl1", "nyc2"])
        self.assertIn({"gpu_slug": GPU, "price_per_hour": "3.39", "region": "nyc2", "currency": "USD"}, sizes["sizes"])
        models = self.ask("GET", "/v2/dedicated-inferences/gpu-model-config")[1]["gpu_model_configs"]
        self.assertEqual([one["model_slug"] for one in models if one["is_gated_model"]], ["meta-llama/gated"])


class Judge(Case):
    def test_the_document_refuses_what_is_not_in_it(self):
        path, _ = self.create()
        self.ask("GET", path)
        exchange = self.fakes.requests()[-1]
        for wrong in (("new", "hibernating"), ('"version":1', '"version":"one"')):
            self.assertRaises(Exception, judge, [{**exchange, "answer": exchange["answer"].replace(*wrong)}])
        created = self.fakes.requests()[0]
        self.assertRaises(Exception, judge, [{**created, "body": created["body"].replace("nyc2", "mars")}])


class Refusals(Case):
    def test_specs(self):
        path, _ = self.create()
        create = ("POST", "/v2/dedicated-inferences")
        self.refused(422, "already in use", *create, self.spec())
        self.refused(422, "does not match", *create, self.spec("a b"))
        self.refused(422, "not supported", *create, self.spec("b", slug="org/unknown"))
        self.refused(422, "does not run on", *create, self.spec("b", gpu="gpu-l40sx1-48gb"))
        self.refused(422, "not available in atl1", *create, self.spec("b", gpu="gpu-h100x8-640gb", region="atl1"))
        self.refused(422, "hugging_face_token", *create, self.spec("b", slug="meta-llama/gated", gpu="gpu-h100x8-640gb"))
        self.refused(422, "required field", *create, {"spec": {"name": "b"}})
        self.create("other")
        self.refused(422, "already in use", "PATCH", path, self.spec("other"))

    def test_tokens(self):
        code, body = self.ask("GET", "/v2/account", token="other")
        self.assertEqual((code, body["id"]), (401, "unauthorized"))


class Faults(Case):
    def test_throttled_denied_and_html(self):
        self.fakes.script(fault("list", "throttle", afterSeconds=7))
        self.assertEqual(self.ask("GET", "/v2/dedicated-inferences")[1]["id"], "too_many_requests")
        self.fakes.script(fault("list", "deny"))
        self.refused(403, "not authorized", "GET", "/v2/dedicated-inferences")
        self.fakes.script(fault("list", "html", status=502))
        self.assertIn("<html>", self.ask("GET", "/v2/dedicated-inferences")[1])

    def test_failures_show_late_and_a_deletion_may_hang(self):
        self.fakes.script(fault("create", "failLate", afterSeconds=600, reason=""))
        path, _ = self.create()
        self.fakes.advance(600)
        self.assertEqual((self.status(path), self.fakes.state()["digitalocean"]["billedGpuSeconds"]), ("error", 0))
        self.fakes.script(fault("delete", "failLate", afterSeconds=5, reason=""))
        self.ask("DELETE", path)
        self.fakes.advance(5)
        self.assertEqual(self.status(path), "error")
        self.fakes.script(fault("delete", "stuck"))
        self.ask("DELETE", path)
        self.fakes.advance(3600)
        self.assertEqual(self.status(path), "deleting")

    def test_lost_answers_and_late_lists(self):
        self.fakes.script(fault("create", "loseAnswer"))
        self.assertRaises(Exception, self.create)
        self.fakes.script(fault("create", "hide", seconds=30, hidden="fromLists"))
        path, _ = self.create("e2")
        self.assertEqual((len(self.ask("GET", "/v2/dedicated-inferences")[1]["dedicated_inferences"]), self.status(path)), (1, "new"))


if __name__ == "__main__":
    unittest.main()
