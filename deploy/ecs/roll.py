"""Roll an image out on ECS: migrate, then every service; or back: python deploy/ecs/roll.py --image <image@sha256:...>.

It needs Python, the AWS command line and a login for it. Nothing is rolled where the migration fails, and the exit code is 1 where
a service does not come to rest on the new image. Services are rolled all at the same time: the release before works on the new schema
too, and so it may also be rolled back to, without a migration (docs/upgrade.md).
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

RELEASE = "release"
SERVICES = ("worker", "worker_psp", "worker_notify", "worker_reconcile", "beat", "api", "web")
CONTAINER = "acuse"
# What a definition is registered with; the rest of a description is AWS's own.
REGISTERED = (
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "runtimePlatform",
)


class CannotRoll(Exception):
    """It was not rolled out, or not whole. The message is one line that says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Roll, and say what is done."""
    options = read_options(arguments)
    try:
        if not options.skip_release:
            release(options)
        if not options.only_release:
            roll(options)
    except CannotRoll as error:
        sys.stderr.write(f"roll: {error}\n")
        return 1
    return 0


def read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. `image` must be named by its digest."""
    parser = argparse.ArgumentParser(description="Migrate and roll an image out on ECS.")
    parser.add_argument("--image", required=True, type=by_digest, help="by its digest: ...@sha256:...")
    parser.add_argument("--cluster", default="acuse", help="also what the names of the task definitions begin with")
    parser.add_argument("--subnets", default="", help="comma list, for the migration")
    parser.add_argument("--security-groups", default="", help="comma list, for the migration")
    parser.add_argument("--only-release", action="store_true", help="migrate, and roll nothing")
    parser.add_argument(
        "--skip-release",
        action="store_true",
        help="roll back: the schema stays ahead, which the release before works on",
    )
    parser.add_argument("--wait-seconds", type=float, default=1800, help="for the services to come to rest")
    parser.add_argument("--rest-seconds", type=float, default=60, help="how long they must stay so")
    parser.add_argument("--poll-seconds", type=float, default=5, help="between two looks at what is under way")
    options = parser.parse_args(arguments)
    if not options.skip_release and not (options.subnets and options.security_groups):
        parser.error("the migration needs --subnets and --security-groups")
    return options


def by_digest(image: str) -> str:
    """The image. Raises ValueError where what it names could change."""
    if not re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image):
        raise ValueError(image)
    return image


def aws(*words: str) -> dict[str, Any]:
    """What a command of `aws` answers. Raises CannotRoll."""
    program = shutil.which("aws")
    if not program:
        raise CannotRoll("the AWS command line is not installed")
    done = subprocess.run([program, *words, "--output", "json"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRoll(f"aws {' '.join(words[:2])}: {done.stderr.strip() or f'exit {done.returncode}'}")
    answer: dict[str, Any] = json.loads(done.stdout or "{}")
    return answer


def register(cluster: str, name: str, image: str) -> str:
    """A revision of a task definition that differs from the latest in the image of Acuse alone: its ARN."""
    said = aws("ecs", "describe-task-definition", "--task-definition", f"{cluster}-{name}")["taskDefinition"]
    definition = {key: said[key] for key in REGISTERED if key in said}
    for container in definition["containerDefinitions"]:
        if container["name"] == CONTAINER:
            container["image"] = image
    made = aws("ecs", "register-task-definition", "--cli-input-json", json.dumps(definition))
    return str(made["taskDefinition"]["taskDefinitionArn"])


def release(options: argparse.Namespace) -> None:
    """Run the migration to its end, however long it takes. Raises CannotRoll where it fails."""
    arn = register(options.cluster, RELEASE, options.image)
    network = {
        "awsvpcConfiguration": {
            "subnets": options.subnets.split(","),
            "securityGroups": options.security_groups.split(","),
            "assignPublicIp": "DISABLED",
        }
    }
    words = ("--launch-type", "FARGATE", "--task-definition", arn, "--network-configuration", json.dumps(network))
    started = aws("ecs", "run-task", "--cluster", options.cluster, *words)
    if not started["tasks"]:
        raise CannotRoll(f"the migration did not start: {[one.get('reason') for one in started.get('failures', ())]}")
    task = str(started["tasks"][0]["taskArn"])
    print(f"migrating: {task}", flush=True)
    while (state := describe_task(options.cluster, task))["lastStatus"] != "STOPPED":
        time.sleep(options.poll_seconds)
    code = next((one.get("exitCode") for one in state["containers"] if one["name"] == CONTAINER), None)
    if code != 0:
        raise CannotRoll(f"the migration ended with {code} ({state.get('stoppedReason')}); nothing was rolled")
    print("migrated", flush=True)


def describe_task(cluster: str, arn: str) -> dict[str, Any]:
    """One task as it is now. Raises CannotRoll."""
    task: dict[str, Any] = aws("ecs", "describe-tasks", "--cluster", cluster, "--tasks", arn)["tasks"][0]
    return task


def roll(options: argparse.Namespace) -> None:
    """Give every service its new revision, and wait until all stay on it. Raises CannotRoll."""
    wanted = {name: register(options.cluster, name, options.image) for name in SERVICES}
    for name, arn in wanted.items():
        aws("ecs", "update-service", "--cluster", options.cluster, "--service", name, "--task-definition", arn)
        print(f"rolling {name}: {arn}", flush=True)
    until, rested_since = time.monotonic() + options.wait_seconds, None
    while rested_since is None or time.monotonic() < rested_since + options.rest_seconds:
        services = aws("ecs", "describe-services", "--cluster", options.cluster, "--services", *wanted)["services"]
        moving = [one["serviceName"] for one in services if not has_come_to_rest(one, wanted[one["serviceName"]])]
        rested_since = None if moving else rested_since or time.monotonic()
        if time.monotonic() > until:
            raise CannotRoll(
                f"not at rest after {options.wait_seconds:.0f} s: {', '.join(moving) or 'all, too briefly'}"
            )
        time.sleep(options.poll_seconds)
    print("rolled", flush=True)


def has_come_to_rest(service: dict[str, Any], wanted: str) -> bool:
    """Whether a service runs all of what it should, and nothing else. Raises CannotRoll where it was rolled back."""
    primary = next(one for one in service["deployments"] if one["status"] == "PRIMARY")
    if service["taskDefinition"] != wanted or primary.get("rolloutState") == "FAILED":
        reason = primary.get("rolloutStateReason") or "somebody else rolled it"
        raise CannotRoll(f"{service['serviceName']} does not run the new image: {reason}")
    is_whole = service["runningCount"] == service["desiredCount"] > 0
    return bool(is_whole and primary.get("rolloutState") == "COMPLETED" and len(service["deployments"]) == 1)


if __name__ == "__main__":
    raise SystemExit(main())
