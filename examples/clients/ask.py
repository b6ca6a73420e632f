"""Asks a served model a question: python ask.py NAMESPACE NAME QUESTION

Needs kubectl with access to the hub, the package openai (pip install openai), and an address that the target's
sourceRanges allow.
"""

import base64
import json
import subprocess
import sys

from openai import OpenAI


def get(kind: str, namespace: str, name: str) -> dict:
    """An object of the hub."""
    command = ["kubectl", "-n", namespace, "get", kind, name, "-o", "json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def main(namespace: str, name: str, question: str) -> None:
    deployment = get("modeldeployments.roadstead.dev", namespace, name)
    status = deployment.get("status", {})
    # Use the first placement: during a replacement it is the newest one that has answered.
    placement = next(iter(status.get("placements", [])), {})
    if "url" not in placement or "apiKeySecretName" not in placement:
        conditions = status.get("conditions", [])
        message = next((c["message"] for c in conditions if c["type"] == "Ready"), "not observed yet")
        sys.exit(f"{namespace}/{name} has no address yet: {message}")
    secret = get("secret", namespace, placement["apiKeySecretName"])
    key = base64.b64decode(secret["data"]["apiKey"]).decode()
    model = deployment["spec"].get("model", {}).get("name", name)

    client = OpenAI(base_url=placement["url"] + "/v1", api_key=key)
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": question}], stream=True)
    for part in answer:
        if part.choices:
            print(part.choices[0].delta.content or "", end="", flush=True)
    print()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
