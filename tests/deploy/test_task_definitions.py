"""deploy/ecs/*.json runs what the Procfile says, is what AWS takes, and gives nobody more than it needs."""

import copy
import inspect
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

import celeryconfig
from config import load_config
from ingress import serve
from ingress.doorbell import Doorbell
from ingress.inbox_writer import InboxWriter
from schedules.tasks import LONGEST_RUN_SECONDS
from tests.deploy.ecs import FOLDER, PROCFILE, command_of, find_flaws, read_container, read_definition

MOST_ON_FARGATE = 120  # seconds that a task may take to stop
SERVING = {"web": 8080, "api": 8081}
IS_SECRET = re.compile(r"SECRET|PASSWORD|PASSPHRASE|TOKEN|KEY|_URL$")
MIB = 1024 * 1024
FARGATE = {256: (512, 2048), 512: (1024, 4096), 1024: (2048, 8192)}  # the memory that goes with a cpu


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


def names_of_settings() -> set[str]:
    """Every name that config.py asks an environment for, with one PSP."""
    asked = set()

    class Asking(dict[str, str]):
        def get(self, name: str, default: Any = None) -> Any:
            asked.add(name)
            return super().get(name, default)

    settings = {
        "ACUSE_DATABASE_URL": "postgresql://u@h/d",
        "ACUSE_BROKER_URL": "redis://h",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    assert load_config(Asking(settings))
    return asked


def test_every_process_of_the_procfile_has_a_definition_and_nothing_else_has() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == PROCFILE.keys()


@pytest.mark.parametrize("name", PROCFILE)
def test_aws_would_register_it(name: str) -> None:
    definition = read_definition(name)
    assert find_flaws("RegisterTaskDefinition", definition) == []
    assert definition["family"] == f"name-{name}"
    assert (definition["networkMode"], definition["requiresCompatibilities"]) == ("awsvpc", ["FARGATE"])
    least, most = FARGATE[int(definition["cpu"])]
    assert least <= int(definition["memory"]) <= most


def test_what_aws_would_refuse_is_found() -> None:
    good = read_definition("web")
    for spoil in (
        lambda one: one.update(memoryInMiB="1"),
        lambda one: one.update(networkMode="vpc"),
        lambda one: one["containerDefinitions"][0].update(stopTimeout="30"),
        lambda one: one["containerDefinitions"][0]["logConfiguration"].pop("logDriver"),
        lambda one: one["containerDefinitions"][0]["ulimits"][0].update(name="files"),
    ):
        bad = copy.deepcopy(good)
        spoil(bad)
        assert find_flaws("RegisterTaskDefinition", bad), spoil


@pytest.mark.parametrize("name", PROCFILE)
def test_it_runs_what_the_procfile_says_as_nobody_on_a_root_that_is_read_only(name: str) -> None:
    container = read_container(name)
    assert container["command"] == command_of(PROCFILE[name])
    assert container["essential"] is True
    assert container["user"] == "10001:10001"
    assert container["readonlyRootFilesystem"] is True
    assert container["mountPoints"] == [{"sourceVolume": "tmp", "containerPath": "/tmp", "readOnly": False}]
    assert read_definition(name)["volumes"] == [{"name": "tmp"}], "of this task alone, and gone with it"
    assert container["linuxParameters"] == {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}}
    assert not container.get("privileged")


@pytest.mark.parametrize("name", PROCFILE)
def test_settings_exist_and_secrets_stand_in_no_definition(name: str) -> None:
    container = read_container(name)
    plain = {one["name"] for one in container["environment"]}
    secret = {one["name"] for one in container["secrets"]}
    assert plain | secret <= names_of_settings()
    assert not plain & secret
    assert not [one for one in plain if IS_SECRET.search(one)]
    for one in container["secrets"]:
        assert one["valueFrom"] == f"secret_arn:{one['name']}::"
    assert {"ACUSE_DATABASE_URL", "ACUSE_BROKER_URL", "ACUSE_REDIS_URL"} == secret, (
        "others are not every process's business"
    )


def test_every_process_that_counts_serves_it_from_a_folder_of_its_own() -> None:
    for name in PROCFILE:
        settings = {one["name"]: one["value"] for one in read_container(name)["environment"]}
        folder, place = settings.get("ACUSE_METRICS_DIR"), settings.get("ACUSE_METRICS_LISTEN")
        assert folder == (None if name == "release" else "/tmp/metrics")
        assert place == (None if name in ("release", "api") else "0.0.0.0:9100"), "the API serves its own with all else"


def test_what_stands_behind_the_load_balancer_believes_it_and_nobody_else() -> None:
    for name in PROCFILE:
        settings = {one["name"]: one["value"] for one in read_container(name)["environment"]}
        assert settings.get("ACUSE_TRUSTED_PROXIES") == ("1" if name in SERVING else None)


@pytest.mark.parametrize("name", PROCFILE)
def test_it_logs_to_cloudwatch_and_a_log_that_hangs_stops_nobody(name: str) -> None:
    for container in read_definition(name)["containerDefinitions"]:
        logs = container["logConfiguration"]
        assert logs["logDriver"] == "awslogs"
        assert logs["options"]["mode"] == "non-blocking"
        assert (logs["options"]["awslogs-group"], logs["options"]["awslogs-region"]) == ("log_group", "region")


def test_a_receiver_may_answer_what_it_took_before_it_is_killed() -> None:
    stops = [inspect.signature(one.stop).parameters["seconds"].default for one in (InboxWriter, Doorbell)]
    drains = serve.TICK_SECONDS + serve.ANSWER_GRACE_SECONDS + sum(stops)
    for name in SERVING:
        assert drains < read_container(name)["stopTimeout"] <= MOST_ON_FARGATE


def test_a_task_may_end_before_its_worker_is_killed() -> None:
    for name in ("worker", "worker_psp", "worker_notify"):
        assert celeryconfig.task_time_limit < read_container(name)["stopTimeout"] <= MOST_ON_FARGATE
    assert LONGEST_RUN_SECONDS > MOST_ON_FARGATE, "a run of reconciliation is cut off, and begun again by the next tick"
    assert read_container("worker_reconcile")["stopTimeout"] == MOST_ON_FARGATE


def test_only_what_serves_has_a_health_check_and_it_asks_for_life_alone() -> None:
    for name in PROCFILE:
        container = read_container(name)
        if name not in SERVING:
            assert not {"healthCheck", "portMappings"} & container.keys(), "a long migration is cut off by nothing"
            continue
        assert [one["containerPort"] for one in container["portMappings"]] == [SERVING[name]]
        check = container["healthCheck"]
        assert f"http://127.0.0.1:{SERVING[name]}/healthz" in check["command"][-1]
        assert "readyz" not in str(check)
        assert (check["startPeriod"], check["retries"]) == (60, 3)


def test_the_health_check_fails_where_nobody_answers() -> None:
    """The very words of the definitions, but for the port."""
    with HTTPServer(("127.0.0.1", 0), Healthy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        answered = [check_health(name, server.server_port) for name in SERVING]
        server.shutdown()
    assert answered == [0, 0]
    assert 0 not in [check_health(name, server.server_port) for name in SERVING]


def check_health(name: str, port: int) -> int:
    marker, program, *words = read_container(name)["healthCheck"]["command"]
    assert (marker, program) == ("CMD", "python")
    words = [word.replace(f":{SERVING[name]}/", f":{port}/") for word in words]
    return subprocess.run([sys.executable, *words], stderr=subprocess.DEVNULL, timeout=30, check=False).returncode


def test_a_receiver_may_hold_as_many_connections_as_it_takes() -> None:
    for name in PROCFILE:
        assert read_container(name)["ulimits"] == [{"name": "nofile", "softLimit": 65535, "hardLimit": 65535}]
    assert serve.FILES <= 65535


@pytest.mark.parametrize("name", [name for name in PROCFILE if name.startswith("worker")])
def test_a_worker_has_memory_for_all_its_children_at_their_largest(name: str) -> None:
    children = int(re.search(r" -c (\d+)", PROCFILE[name])[1])
    needed = (children + 0.5) * celeryconfig.worker_max_memory_per_child * 1024 / MIB
    assert needed < int(read_definition(name)["memory"])


def test_the_collector_beside_the_api_may_write_nothing_and_ends_without_it() -> None:
    beside = {name: read_definition(name)["containerDefinitions"][1:] for name in PROCFILE}
    assert [name for name, others in beside.items() if others] == ["api"]
    [collector] = beside["api"]
    assert (collector["essential"], collector["readonlyRootFilesystem"]) == (False, True)
    assert collector["linuxParameters"]["capabilities"] == {"drop": ["ALL"]}
    assert collector["secrets"] == [{"name": "AOT_CONFIG_CONTENT", "valueFrom": "collector_config_arn"}]
