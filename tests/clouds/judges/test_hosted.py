"""OpenAI's own client asks the fake of a hosted vendor, with OpenAI's manners and with those of others."""

import json
import os
import tempfile
import unittest

import openai

import deviations
from service import Fakes

KEY = "key-of-the-fake-of-a-vendor"
MODEL = "vendor-large"
SERVICE = "hosted"
WITH_USAGE = {"include_usage": True}


class Case(unittest.TestCase):
    manners = "openAi"

    def setUp(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as settings:
            json.dump({"hosted": {"manners": self.manners}}, settings)
            settings.flush()
            self.fakes = Fakes(os.environ["CLOUDS"], settings.name)
        self.addCleanup(self.fakes.end)

    def client(self, key=KEY):
        client = openai.OpenAI(base_url=f"{self.fakes.urls[SERVICE]}/v1", api_key=key, max_retries=0)
        self.addCleanup(client.close)
        return client

    def chat(self, key=KEY, model=MODEL, **more):
        return self.client(key).chat.completions.create(model=model, messages=[{"role": "user", "content": "ping"}], **more)

    def refused(self, error, **asked):
        with self.assertRaises(error) as caught:
            self.chat(**asked)
        return caught.exception

    def stream(self, **more):
        chunks = list(self.chat(stream=True, **more))
        text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
        self.assertEqual(text, "by the vendor")
        return chunks


class LikeOpenAi(Case):
    def test_an_answer_names_a_version_of_the_model_and_states_its_tokens(self):
        answer = self.chat()
        self.assertEqual((answer.model, answer.choices[0].message.content), ("vendor-large-2026-08-01", "by the vendor"))
        self.assertEqual((answer.usage.prompt_tokens, answer.usage.completion_tokens), (1000, 500))
        self.assertEqual(self.fakes.state()[SERVICE], {"answered": 1})

    def test_a_stream_states_its_tokens_if_it_is_asked(self):
        self.assertTrue(all(chunk.usage is None for chunk in self.stream()))
        *chunks, last = self.stream(stream_options=WITH_USAGE)
        self.assertEqual((last.choices, last.usage.total_tokens), ([], 1500))
        self.assertTrue(all(chunk.usage is None for chunk in chunks))

    def test_models_are_listed(self):
        self.assertEqual([model.id for model in self.client().models.list()], [MODEL])

    def test_refusals_say_what_is_wrong(self):
        self.assertEqual(self.refused(openai.AuthenticationError, key="another").code, "invalid_api_key")
        missing = self.refused(openai.NotFoundError, model="another")
        self.assertEqual(missing.code, "model_not_found")
        self.assertIn("The model `another` does not exist", missing.message)
        for effect in ({"kind": "throttle", "afterSeconds": 7}, {"kind": "throttle"}):
            self.fakes.script({"service": SERVICE, "operation": "chat", "effect": effect})
            throttled = self.refused(openai.RateLimitError)
            self.assertEqual(throttled.code, "rate_limit_exceeded")
            self.assertEqual(throttled.response.headers.get("retry-after"), "7" if "afterSeconds" in effect else None)
        self.fakes.script({"service": SERVICE, "operation": "chat", "effect": {"kind": "deny"}})
        self.assertEqual(self.refused(openai.PermissionDeniedError).code, "insufficient_permissions")
        self.assertEqual(self.fakes.state()[SERVICE], {"answered": 0})

    @deviations.row("hosted-chat-alone")
    def test_other_requests_for_inference_are_not_played(self):
        with self.assertRaises(openai.NotFoundError):
            self.client().embeddings.create(model=MODEL, input="ping")


class LikeMistral(Case):
    manners = "mistral"

    def test_a_stream_states_its_tokens_unasked_and_the_option_is_refused(self):
        chunks = self.stream()
        self.assertEqual([chunk.usage and chunk.usage.total_tokens for chunk in chunks], [None, 1500])
        refused = self.refused(openai.UnprocessableEntityError, stream=True, stream_options=WITH_USAGE)
        self.assertIn("extra_forbidden", str(refused.body))


class LikeCohere(Case):
    manners = "cohere"

    def test_a_stream_states_no_tokens_and_the_option_is_refused(self):
        self.assertTrue(all(chunk.usage is None for chunk in self.stream()))
        self.refused(openai.UnprocessableEntityError, stream=True, stream_options=WITH_USAGE)


if __name__ == "__main__":
    unittest.main()
