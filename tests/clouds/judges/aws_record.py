"""Judges recorded requests and answers by botocore: its signer recomputes signatures, its model checks the shapes."""

import datetime
import json
import re
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.loaders
import botocore.model
import botocore.validate

MODELS = {"SageMaker": "sagemaker", "ResourceGroupsTaggingAPI_20170126": "resourcegroupstaggingapi"}
# Services whose requests name the operation by method and path.
REST = {"bedrock": "bedrock"}


class Judge:
    """Collects what is wrong with recorded exchanges."""

    def __init__(self, keys):
        """`keys` maps ids of access keys to (secret, session token)."""
        self.keys = dict(keys)
        self.faults = []
        self.signatures = self.inputs = self.outputs = 0
        loader = botocore.loaders.Loader()
        self.models = {
            target: botocore.model.ServiceModel(loader.load_service_model(name, "service-2"))
            for target, name in {**MODELS, **REST}.items()
        }

    def judge(self, exchanges):
        """Judges all exchanges with AWS, in order: sessions that STS hands out sign later ones."""
        for exchange in exchanges:
            if exchange["service"] not in ("sagemaker", *REST):
                continue
            headers = dict(exchange["headers"])
            self.signature(exchange, headers)
            target, _, operation = headers.get("x-amz-target", "").partition(".")
            if target in self.models:
                self.shapes(self.models[target].operation_model(operation), exchange, json.loads(exchange["body"] or "{}"))
            elif exchange["operation"] in self.operations(exchange["service"]):
                model = self.models[exchange["service"]].operation_model(exchange["operation"])
                self.shapes(model, exchange, rest_input(model, exchange))
            self.sessions(exchange)

    def operations(self, service):
        return self.models[service].operation_names if service in REST else ()

    def fault(self, exchange, text):
        self.faults.append(f"request {exchange['number']}, {exchange['operation']}: {text}")

    def sessions(self, exchange):
        answer = exchange["answer"] or ""
        found = re.search(
            "<AccessKeyId>(.*?)</AccessKeyId><SecretAccessKey>(.*?)</SecretAccessKey>.*?<SessionToken>(.*?)<", answer
        )
        if found:
            key, secret, token = found.groups()
            self.keys[key] = (secret, token)

    def signature(self, exchange, headers):
        """A request that the fake took as signed is signed as botocore would sign it."""
        authorization = headers.get("authorization", "")
        found = re.match(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$",
            authorization,
        )
        if not found:
            return
        key, _, region, service, signed, signature = found.groups()
        if key not in self.keys:
            return
        secret, token = self.keys[key]
        credentials = botocore.credentials.Credentials(key, secret, token)
        url = f"http://{headers['host']}{exchange['target']}"
        request = botocore.awsrequest.AWSRequest(exchange["method"], url, data=exchange["body"].encode())
        for name in signed.split(";"):
            request.headers[name] = headers[name]
        request.context["timestamp"] = headers["x-amz-date"]
        signer = botocore.auth.SigV4Auth(credentials, service, region)
        text = signer.string_to_sign(request, signer.canonical_request(request))
        # What the fake refuses for its signature may be wrong.
        if signer.signature(text, request) != signature and "signature" not in exchange["rules"]:
            self.fault(exchange, f"botocore computes another signature over {signed}")
        self.signatures += 1

    def shapes(self, operation, exchange, sent):
        """The input passes botocore's validation, and the output has what the model says."""
        if exchange["status"] is not None and exchange["status"] < 400 and exchange["answer"]:
            body = exchange["answer"]
            self.outputs += 1
            for fault in walked(operation.output_shape, json.loads(body), "output"):
                if not (exchange["fault"] == "status" and "no value" in fault):
                    self.fault(exchange, fault)
        if "validated" in exchange["rules"]:
            return
        self.inputs += 1
        for fault in walked(operation.input_shape, sent, "input"):
            self.fault(exchange, fault)


def rest_input(operation, exchange):
    """The input of a request whose members are in path, query and body; a request that does not fit has a member "unplaced"."""
    path, _, query = exchange["target"].partition("?")
    wanted = operation.http["requestUri"].split("/")
    found = path.split("/")
    if exchange["method"] != operation.http["method"] or len(wanted) != len(found):
        return {"unplaced": exchange["target"]}
    sent = json.loads(exchange["body"] or "{}")
    names = {member.serialization.get("name", name): name for name, member in operation.input_shape.members.items()}
    for part, value in zip(wanted, found):
        if part.startswith("{"):
            sent[names[part.strip("{}")]] = urllib.parse.unquote(value)
        elif part != value:
            return {"unplaced": exchange["target"]}
    for name, value in urllib.parse.parse_qsl(query):
        member = operation.input_shape.members.get(names.get(name))
        sent[names.get(name, name)] = int(value) if member is not None and member.type_name == "integer" else value
    return sent


def walked(shape, value, path):
    """What botocore's validator and its model's metadata find wrong with a JSON value."""
    if shape is None:
        return [] if value in ({}, None) else [f"{path}: the operation has no output"]
    found = []
    report = botocore.validate.ParamValidator().validate(typed(shape, value), shape)
    if report.has_errors():
        found.append(f"{path}: {report.generate_report()}")
    found.extend(constraints(shape, value, path))
    return found


def typed(shape, value):
    """The value with times as times, as the validator wants them."""
    kind = shape.type_name
    if kind == "structure" and isinstance(value, dict):
        return {key: typed(shape.members[key], inner) if key in shape.members else inner for key, inner in value.items()}
    if kind == "list" and isinstance(value, list):
        return [typed(shape.member, inner) for inner in value]
    if kind == "map" and isinstance(value, dict):
        return {key: typed(shape.value, inner) for key, inner in value.items()}
    if kind == "timestamp" and isinstance(value, str):
        return datetime.datetime.fromisoformat(value)
    if kind == "timestamp" and isinstance(value, (int, float)):
        return datetime.datetime.fromtimestamp(value, datetime.timezone.utc)
    return value


def constraints(shape, value, path):
    """Enums, patterns and maximum lengths, which botocore's validator leaves to the service."""
    kind, found = shape.type_name, []
    if kind == "structure" and isinstance(value, dict):
        for key, inner in value.items():
            if key in shape.members:
                found += constraints(shape.members[key], inner, f"{path}.{key}")
    elif kind == "list" and isinstance(value, list):
        for index, inner in enumerate(value):
            found += constraints(shape.member, inner, f"{path}[{index}]")
    elif kind == "map" and isinstance(value, dict):
        for key, inner in value.items():
            found += constraints(shape.key, key, f"{path}.{key}") + constraints(shape.value, inner, f"{path}.{key}")
    elif kind == "string" and isinstance(value, str):
        if shape.enum and value not in shape.enum:
            found.append(f"{path}: {value!r} is no value of {shape.name}")
        maximum = shape.metadata.get("max")
        if maximum is not None and len(value) > maximum:
            found.append(f"{path}: longer than {maximum}")
        pattern = java(shape.metadata.get("pattern"))
        if pattern and not re.fullmatch(pattern, value):
            found.append(f"{path}: {value!r} does not match {shape.metadata['pattern']}")
    return found


def java(pattern):
    """A pattern of the model for Python; None where Python has no such classes."""
    return None if pattern is None or "\\p{" in pattern else pattern
