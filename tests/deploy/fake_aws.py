"""Answers a few commands of `aws ecs` from a file, as AWS does: fake_aws.py <state.json> ecs <command> ..."""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # it is started a hundred times, so it imports little
    from collections.abc import Sequence
    from typing import Any

OF_AWS = {"revision": 1, "status": "ACTIVE", "requiresAttributes": [{"name": "x"}], "registeredBy": "somebody"}


def main(path: str, command: str, words: Sequence[str]) -> int:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123
        state = json.load(file)
    state["calls"].append([command, list(words)])
    options = dict(zip(words[::2], words[1::2], strict=False))
    if state.get("denied") == command:
        sys.stderr.write("AccessDeniedException\n")
        return 254
    answer = COMMANDS[command](state, options, words)
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        json.dump(state, file)
    print(json.dumps(answer))
    return 0


def describe_definition(state: dict[str, Any], options: dict[str, str], _: Sequence[str]) -> Any:
    return {"taskDefinition": state["definitions"][options["--task-definition"]][-1] | OF_AWS}


def register(state: dict[str, Any], options: dict[str, str], _: Sequence[str]) -> Any:
    definition = json.loads(options["--cli-input-json"])
    name = definition["family"].replace("name-", "acuse-")
    state["definitions"][name].append(definition)
    return {"taskDefinition": {"taskDefinitionArn": f"arn:{name}:{len(state['definitions'][name]) - 1}"}}


def run_task(state: dict[str, Any], *_: Any) -> Any:
    if state.get("cannot_run"):
        return {"tasks": [], "failures": [{"reason": "RESOURCE:MEMORY"}]}
    return {"tasks": [{"taskArn": "arn:task"}], "failures": []}


def describe_tasks(state: dict[str, Any], *_: Any) -> Any:
    """It still runs at the first look."""
    has_ended = sum(call[0] == "describe-tasks" for call in state["calls"]) > 1
    container = {"name": "acuse"} | ({"exitCode": state.get("exit_code", 0)} if has_ended else {})
    task = {
        "lastStatus": "STOPPED" if has_ended else "RUNNING",
        "containers": [container],
        "stoppedReason": "Essential",
    }
    return {"tasks": [task]}


def update_service(state: dict[str, Any], options: dict[str, str], _: Sequence[str]) -> Any:
    state["services"][options["--service"]] = options["--task-definition"]
    return {}


def describe_services(state: dict[str, Any], _: Any, words: Sequence[str]) -> Any:
    """At the first look old and new tasks run side by side."""
    looks = sum(call[0] == "describe-services" for call in state["calls"])
    return {
        "services": [
            describe_service(state, name, looks)
            for name in words[words.index("--services") + 1 :]
            if name in state["services"]
        ]
    }


def describe_service(state: dict[str, Any], name: str, looks: int) -> Any:
    is_moving = looks <= 1 or state.get("restless") == name
    primary = {"status": "PRIMARY", "rolloutState": "IN_PROGRESS" if is_moving else "COMPLETED"}
    definition = state["services"][name]
    if state.get("goes_back") == name and looks > 1:
        primary |= {"rolloutStateReason": "tasks failed to start"}
        definition = f"arn:acuse-{name}:0"
    return {
        "serviceName": name,
        "taskDefinition": definition,
        "desiredCount": 1,
        "runningCount": 1,
        "deployments": [primary] + [{"status": "ACTIVE"}] * is_moving,
    }


COMMANDS = {
    "describe-task-definition": describe_definition,
    "register-task-definition": register,
    "run-task": run_task,
    "describe-tasks": describe_tasks,
    "update-service": update_service,
    "describe-services": describe_services,
}

if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], sys.argv[3], sys.argv[4:]))
