"""deploy/ecs/roll.py against a program that answers as `aws` does and keeps what it was told in a file."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.ecs import PROCFILE, ROOT, find_flaws, read_definition

NEW = "registry/acuse@sha256:" + "1" * 64
AWS = ROOT / "tests" / "deploy" / "fake_aws.py"
NETWORK = ("--subnets", "subnet-a,subnet-b", "--security-groups", "sg-1")
FAST = ("--poll-seconds", "0.01", "--rest-seconds", "0.02", "--wait-seconds", "60")


@dataclass
class Cloud:
    """What the program knows."""

    folder: Path

    def roll(self, *words: str, **behaviour: Any) -> subprocess.CompletedProcess[str]:
        state = {
            "definitions": {f"acuse-{name}": [read_definition(name)] for name in PROCFILE},
            "services": {name: f"arn:acuse-{name}:0" for name in PROCFILE if name != "release"},
            "calls": [],
            **behaviour,
        }
        (self.folder / "state.json").write_text(json.dumps(state), encoding="utf-8")
        environment = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        argv = [sys.executable, "deploy/ecs/roll.py", "--image", NEW, *words]
        return subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
        return state

    def calls(self) -> list[str]:
        return [call[0] for call in self.state["calls"]]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    program = tmp_path / "aws"
    program.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -IS "{AWS}" "{tmp_path}/state.json" "$@"\n', encoding="utf-8"
    )
    program.chmod(0o755)
    return Cloud(tmp_path)


def test_it_migrates_before_anything_is_rolled_and_rolls_all(cloud: Cloud) -> None:
    done = cloud.roll(*NETWORK, *FAST)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "rolled"
    calls = cloud.calls()
    last_look = max(place for place, call in enumerate(calls) if call == "describe-tasks")
    assert calls.index("run-task") < last_look < calls.index("update-service")
    assert cloud.state["services"] == {name: f"arn:acuse-{name}:1" for name in PROCFILE if name != "release"}


def test_nothing_but_the_image_of_acuse_changes_and_aws_would_take_it(cloud: Cloud) -> None:
    assert cloud.roll(*NETWORK, *FAST).returncode == 0
    for name in PROCFILE:
        before, after = cloud.state["definitions"][f"acuse-{name}"]
        assert find_flaws("RegisterTaskDefinition", after) == []
        assert after["containerDefinitions"][0]["image"] == NEW
        after["containerDefinitions"][0]["image"] = before["containerDefinitions"][0]["image"]
        assert after == before
    [network] = [
        json.loads(words[words.index("--network-configuration") + 1])
        for call, words in cloud.state["calls"]
        if call == "run-task"
    ]
    asked = {"cluster": "acuse", "taskDefinition": "arn", "launchType": "FARGATE", "networkConfiguration": network}
    assert find_flaws("RunTask", asked) == []
    assert network["awsvpcConfiguration"]["subnets"] == ["subnet-a", "subnet-b"]


def test_a_migration_that_fails_rolls_nothing(cloud: Cloud) -> None:
    done = cloud.roll(*NETWORK, *FAST, exit_code=1)
    assert done.returncode == 1
    assert "the migration ended with 1" in done.stderr and "nothing was rolled" in done.stderr
    assert "update-service" not in cloud.calls()


def test_a_migration_that_cannot_start_rolls_nothing(cloud: Cloud) -> None:
    done = cloud.roll(*NETWORK, *FAST, cannot_run=True)
    assert (done.returncode, "RESOURCE:MEMORY" in done.stderr) == (1, True)
    assert "update-service" not in cloud.calls()


def test_a_service_that_the_circuit_breaker_brought_back_is_a_failure(cloud: Cloud) -> None:
    done = cloud.roll("--skip-release", *FAST, goes_back="web")
    assert done.returncode == 1
    assert "web does not run the new image: tasks failed to start" in done.stderr


def test_a_service_that_never_comes_to_rest_is_a_failure(cloud: Cloud) -> None:
    done = cloud.roll("--skip-release", *FAST, "--wait-seconds", "0.3", restless="worker")
    assert done.returncode == 1
    assert "not at rest after 0 s: worker" in done.stderr


def test_to_roll_back_migrates_nothing(cloud: Cloud) -> None:
    assert cloud.roll("--skip-release", *FAST).returncode == 0
    assert not {"run-task", "describe-tasks"} & set(cloud.calls())


def test_to_migrate_alone_rolls_nothing(cloud: Cloud) -> None:
    assert cloud.roll("--only-release", *NETWORK, *FAST).returncode == 0
    assert "update-service" not in cloud.calls()


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--skip-release", "--image", "acuse:latest"), "--image"), ((), "--subnets and --security-groups")],
)
def test_it_refuses_a_name_that_could_change_and_a_migration_without_a_network(
    cloud: Cloud, words: tuple[str, ...], said: str
) -> None:
    done = cloud.roll(*words)
    assert done.returncode == 2 and said in done.stderr
    assert cloud.calls() == []


def test_an_error_of_aws_is_told(cloud: Cloud) -> None:
    done = cloud.roll("--skip-release", *FAST, denied="update-service")
    assert done.returncode == 1
    assert done.stderr == "roll: aws ecs update-service: AccessDeniedException\n"
