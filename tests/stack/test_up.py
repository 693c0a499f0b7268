"""`acuse up` as a person runs it: one real stack in a folder with a space, and what others see of it."""

import json
import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from embedded import free_port, remove_data
from tests.stack.processes import is_alive, wait_for

pytestmark = pytest.mark.wall_clock

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
NAMES = {"postgres", "redis", "web", "sandbox", "worker", "worker_psp", "worker_notify", "worker_reconcile", "beat"}


def acuse(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(
        argv, cwd=ROOT, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=60, check=False
    )


@dataclass
class Stack:
    process: subprocess.Popen[str]
    data_dir: Path
    port: int
    lines: list[str] = field(default_factory=list)

    def status(self) -> dict[str, Any]:
        return json.loads(acuse("status", "--json", "--data-dir", str(self.data_dir)).stdout)

    def environment(self) -> dict[str, str]:
        printed = acuse("env", "--data-dir", str(self.data_dir)).stdout
        return dict(shlex.split(line)[0].split("=", 1) for line in printed.splitlines())

    def said(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self.lines)

    def listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    data_dir, port = tmp_path_factory.mktemp("up") / "a b", free_port()
    argv = [sys.executable, "-m", "cli", "up", "--port", str(port), "--data-dir", str(data_dir)]
    process = subprocess.Popen(
        argv, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    running = Stack(process, data_dir, port)
    threading.Thread(target=running.listen, daemon=True).start()
    try:
        assert wait_for(lambda: running.said("is ready in") or process.poll() is not None, 30.0), running.lines
        assert process.poll() is None, running.lines
        yield running
    finally:
        process.terminate()
        process.wait(60)
        remove_data(data_dir / "postgres")


def test_up_serves_and_status_knows_it(stack: Stack) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{stack.port}/readyz") as answer:
        assert answer.status == 200
    status = stack.status()
    assert status["running"] is True
    assert set(status["processes"]) == NAMES
    assert all(child["state"] == "running" and is_alive(child["pid"]) for child in status["processes"].values())
    assert status["engines"]["postgres"]["version"].startswith("18.")
    assert str(stack.port) in status["urls"]["receiver"]


def test_status_tells_a_person(stack: Stack) -> None:
    shown = acuse("status", "--data-dir", str(stack.data_dir))
    assert shown.returncode == 0
    assert all(re.search(rf"{name} +running", shown.stdout) for name in NAMES)


def test_env_gives_addresses_first_and_what_signing_needs(stack: Stack) -> None:
    environment = stack.environment()
    first = ["ACUSE_DATABASE_URL", "ACUSE_BROKER_URL", "ACUSE_REDIS_URL", "ACUSE_RECEIVER_URL", "ACUSE_SANDBOX_URL"]
    assert list(environment)[:5] == first
    keys = json.loads((stack.data_dir / "sandbox" / "keys.json").read_text())
    assert environment["ACUSE_STRIPE_WEBHOOK_SECRETS"] == keys["stripe"]["webhook_secret"]
    assert environment["ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS"].replace("\\n", "\n") == keys["conekta"]["public_key_pem"]
    assert environment["ACUSE_STP_WEBHOOK_PASSWORD"] == keys["stp"]["password"]


@pytest.mark.parametrize(
    "name", ["stack.json", "secret_key.json", "sandbox/keys.json", "postgres/password", "redis/password"]
)
def test_files_with_secrets_are_private(stack: Stack, name: str) -> None:
    assert stat.S_IMODE((stack.data_dir / name).stat().st_mode) == 0o600


def test_a_second_up_on_the_same_folder_is_refused(stack: Stack) -> None:
    second = acuse("up", "--port", str(free_port()), "--data-dir", str(stack.data_dir))
    assert second.returncode == 1
    assert f"taken by a running stack (process {stack.process.pid})" in second.stderr
    assert stack.status()["running"] is True


def test_a_second_up_on_the_same_port_is_refused_before_anything_starts(stack: Stack, tmp_path: Path) -> None:
    second = acuse("up", "--port", str(stack.port), "--data-dir", str(tmp_path / "other"))
    assert second.returncode == 1
    assert f"port {stack.port} is taken" in second.stderr
    assert not (tmp_path / "other" / "postgres").exists()


def test_killed_processes_come_back_at_their_addresses(stack: Stack) -> None:
    before, environment = stack.status()["processes"], stack.environment()
    killed = ("postgres", "redis", "worker", "web")
    for name in killed:
        os.kill(before[name]["pid"], signal.SIGKILL)
    assert wait_for(lambda: all(stack.said(rf"{name} stopped \(exit -9\)") for name in killed), 30.0)
    assert wait_for(lambda: all(stack.said(f"{name} runs again") for name in killed), 30.0)
    after = stack.status()["processes"]
    assert {name for name, child in after.items() if child["restarts"]} == set(killed)
    assert stack.environment() == environment


def test_sigterm_stops_everything(stack: Stack) -> None:
    pids = [child["pid"] for child in stack.status()["processes"].values()]
    stack.process.send_signal(signal.SIGTERM)
    assert stack.process.wait(40) == 0
    assert not any(is_alive(pid) for pid in pids)
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", stack.port)) != 0
    gone = acuse("status", "--data-dir", str(stack.data_dir))
    assert gone.returncode == 1
    assert "no stack is running in" in gone.stderr


def test_nothing_runs_where_nothing_was_started(tmp_path: Path) -> None:
    shown = acuse("status", "--json", "--data-dir", str(tmp_path))
    assert (shown.returncode, json.loads(shown.stdout)["running"]) == (1, False)
    assert acuse("env", "--data-dir", str(tmp_path)).returncode == 1


def test_without_the_sandbox_the_secrets_must_be_given(tmp_path: Path) -> None:
    refused = acuse("up", "--no-sandbox", "--port", str(free_port()), "--data-dir", str(tmp_path / "d"))
    assert refused.returncode == 2
    assert refused.stderr.startswith("acuse: ACUSE_PSPS names no PSP; known are stripe, conekta")
    assert len(refused.stderr.splitlines()) == 1
    assert not (tmp_path / "d" / "postgres").exists()
