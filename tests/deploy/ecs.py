"""The task definitions of deploy/ecs, and what AWS's own model says of a request."""

import json
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "ecs"
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines())
PLACEHOLDER = re.compile(r"\$\{(\w+)\}")


def read_definition(name: str) -> dict[str, Any]:
    """A task definition, its placeholders filled with their own names."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8")
    definition: dict[str, Any] = json.loads(PLACEHOLDER.sub(r"\1", text))
    return definition


def read_container(name: str) -> dict[str, Any]:
    """The container of a definition that is Acuse."""
    [container] = [one for one in read_definition(name)["containerDefinitions"] if one["name"] == "acuse"]
    found: dict[str, Any] = container
    return found


def command_of(line: str) -> list[str]:
    """A line of the Procfile without a shell: every ${NAME:-default} is its default."""
    return shlex.split(re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", line))


def find_flaws(operation: str, request: dict[str, Any]) -> list[str]:
    """What AWS would refuse of a request to ECS: unknown or missing members, wrong types, words that are not in a list."""
    shape = _model(operation).input_shape
    report = ParamValidator().validate(request, shape)
    return [*report.generate_report().splitlines(), *_find_unknown_words(request, shape, operation)]


@cache
def _model(operation: str) -> OperationModel:
    model: OperationModel = botocore.session.get_session().get_service_model("ecs").operation_model(operation)
    return model


def _find_unknown_words(value: Any, shape: Shape, where: str) -> Iterator[str]:
    """The validator looks at no enumeration."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, member in shape.members.items():
            if name in value:
                yield from _find_unknown_words(value[name], member, f"{where}.{name}")
    elif shape.type_name == "list" and isinstance(value, list):
        for one in value:
            yield from _find_unknown_words(one, shape.member, where)
    elif (words := getattr(shape, "enum", None)) and value not in words:
        yield f"{where}: {value!r} is none of {', '.join(words)}"
