"""The Terraform of deploy/ecs, read as data."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from tests.deploy.ecs import FOLDER

TERRAFORM = FOLDER / "terraform"
FILES = sorted(TERRAFORM.glob("*.tf"))
TEXT = "\n".join(file.read_text(encoding="utf-8") for file in FILES)
DIGEST = "sha256:" + "0" * 64
OWN_MEMBERS = ("__is_block__", "__comments__")  # of the parser


@cache
def read_blocks() -> dict[str, list[Any]]:
    """Every block of every file, by its word: resource, variable ..."""
    blocks: dict[str, list[Any]] = {}
    for file in FILES:
        for word, found in _bare(hcl2.loads(file.read_text(encoding="utf-8"))).items():
            blocks.setdefault(word, []).extend(found)
    return blocks


def _bare(value: Any) -> Any:
    """Without the parser's own members, and texts without their quotes."""
    if isinstance(value, dict):
        return {_bare(key): _bare(one) for key, one in value.items() if key not in OWN_MEMBERS}
    if isinstance(value, list):
        return [_bare(one) for one in value]
    return value[1:-1] if isinstance(value, str) and re.fullmatch(r'".*"', value, re.DOTALL) else value


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """The resources of a kind, by name."""
    return {name: body for block in read_blocks()["resource"] for name, body in block.get(kind, {}).items()}


def named(word: str) -> dict[str, Any]:
    """Variables or outputs by name."""
    return {name: body for block in read_blocks()[word] for name, body in block.items()}


def find_locals() -> dict[str, Any]:
    return {name: value for block in read_blocks()["locals"] for name, value in block.items()}


def walk(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every plain value with the names that lead there."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from walk(one, (*path, str(key)))
    elif isinstance(value, list):
        for one in value:
            yield from walk(one, path)
    else:
        yield path, value


def evaluate(terraform: str, folder: Path, variables: dict[str, object]) -> dict[str, Any]:
    """What Terraform computes from the variables, in a folder without the provider; whatever AWS would name is invented.

    Raises CalledProcessError with what it said.
    """
    for source in (*FOLDER.glob("*.json"), FOLDER / "collector.yaml"):
        shutil.copy(source, folder)
    place = folder / "terraform"
    place.mkdir()
    shutil.copy(TERRAFORM / "variables.tf", place)
    texts = [(TERRAFORM / name).read_text(encoding="utf-8") for name in ("services.tf", "scaling.tf", "outputs.tf")]
    computed = [text[: text.index("\n}\n") + 3] for text in texts[:2]]
    computed.append(texts[2][texts[2].index('output "database_connections') :])
    shown = "".join(f'output "{name}" {{\n  value = local.{name}\n}}\n' for name in ("tasks", "containers", "pools"))
    shown += 'output "scale" {\n  value = var.scale\n}\n'
    main = re.sub(r"\baws_\w+\.\w+\.(arn|name)\b", '"made:\\1"', "".join(computed)) + shown
    (place / "main.tf").write_text(main, encoding="utf-8")
    given = {name: f"some-{name}" for name, body in named("variable").items() if "default" not in body}
    given |= {"image": f"acuse@{DIGEST}", "collector_image": f"collector@{DIGEST}", "secret_arn": "arn:secret"}
    given |= {"public_subnet_ids": ["a"], "private_subnet_ids": ["a"], "settings": {"ACUSE_PSPS": "stripe"}}
    given |= {"psp_secret_names": ["ACUSE_STRIPE_WEBHOOK_SECRETS"], **variables}
    (place / "terraform.tfvars.json").write_text(json.dumps(given), encoding="utf-8")
    run_terraform([terraform, "apply", "-auto-approve", "-no-color", "-input=false"], place)
    said = run_terraform([terraform, "output", "-json"], place)
    return {name: one["value"] for name, one in json.loads(said).items()}


def run_terraform(argv: list[str], place: Path) -> str:
    environment = {**os.environ, "CHECKPOINT_DISABLE": "1"}
    return subprocess.run(argv, cwd=place, env=environment, capture_output=True, text=True, check=True).stdout
