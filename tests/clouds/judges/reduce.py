"""Writes the parts of botocore's models that the fakes of AWS implement, or compares them with the files in the clone.

The fakes validate requests against them. Source: the installed botocore (Apache-2.0); only operations and documentation
are left out, nothing is edited.
"""

import json
import pathlib
import sys

import botocore.loaders

SOURCES = pathlib.Path(__file__).parents[1] / "src"
SAGEMAKER = [
    "AddTags",
    "CreateEndpoint",
    "CreateEndpointConfig",
    "CreateModel",
    "CreateModelPackageGroup",
    "DeleteEndpoint",
    "DeleteEndpointConfig",
    "DeleteModel",
    "DeleteTags",
    "DescribeEndpoint",
    "DescribeEndpointConfig",
    "DescribeModel",
    "DescribeModelPackageGroup",
    "ListEndpointConfigs",
    "ListEndpoints",
    "ListModels",
    "ListTags",
    "UpdateEndpoint",
    "UpdateEndpointWeightsAndCapacities",
]
BEDROCK = [
    "CreateModelImportJob",
    "CreateProvisionedModelThroughput",
    "DeleteImportedModel",
    "DeleteProvisionedModelThroughput",
    "GetImportedModel",
    "GetModelImportJob",
    "GetProvisionedModelThroughput",
    "ListImportedModels",
    "ListModelImportJobs",
    "ListProvisionedModelThroughputs",
    "ListTagsForResource",
    "TagResource",
    "UntagResource",
    "UpdateProvisionedModelThroughput",
]
CONVERSE = ["Converse", "ConverseStream"]
OPERATIONS = {"sagemaker": SAGEMAKER, "bedrock": BEDROCK, "bedrock-runtime": CONVERSE}
FILES = {"sagemaker": "sagemaker/model.json", "bedrock": "bedrock/model.json", "bedrock-runtime": "bedrock/runtime.json"}


def file(service):
    """The file with the reduced model of a service."""
    return SOURCES / FILES[service]


def bare(value):
    """The value without documentation."""
    if isinstance(value, dict):
        return {key: bare(inner) for key, inner in value.items() if key != "documentation"}
    return [bare(inner) for inner in value] if isinstance(value, list) else value


def reached(shapes, name, found):
    """Adds `name` and the shapes that it refers to."""
    if name in found:
        return
    shape = found[name] = {key: inner for key, inner in bare(shapes[name]).items() if key != "exception"}
    inner = list(shape.get("members", {}).values()) + [shape[part] for part in ("member", "key", "value") if part in shape]
    for reference in inner:
        reached(shapes, reference["shape"], found)


def reduced(service):
    """The operations, and the shapes of their requests and answers."""
    model = botocore.loaders.Loader().load_service_model(service, "service-2")
    operations, shapes = {}, {}
    for name in OPERATIONS[service]:
        operation = model["operations"][name]
        operations[name] = {}
        for side in ("input", "output"):
            if side in operation:
                operations[name][side] = operation[side]["shape"]
                reached(model["shapes"], operation[side]["shape"], shapes)
    return {"operations": operations, "shapes": dict(sorted(shapes.items()))}


def text(service):
    """The file's text."""
    model = reduced(service)
    lines = [f"{json.dumps(name)}: {json.dumps(shape)}" for name, shape in model["shapes"].items()]
    operations = [f"{json.dumps(name)}: {json.dumps(sides)}" for name, sides in model["operations"].items()]
    return '{"operations": {\n%s\n}, "shapes": {\n%s\n}}\n' % (",\n".join(operations), ",\n".join(lines))


if __name__ == "__main__":
    for service in OPERATIONS:
        if "--write" in sys.argv:
            file(service).write_text(text(service))
        elif file(service).read_text() != text(service):
            sys.exit(f"{file(service)} differs from the model of the installed botocore; run {sys.argv[0]} --write and review it")
