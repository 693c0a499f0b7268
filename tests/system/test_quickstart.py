"""What the README promises a newcomer, word by word: its quickstart, its receiver, and what `acuse up` says."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from notifications.signing import new_secret
from tests.system.stack import ROOT, RunningStack, wait_until

README = (ROOT / "README.md").read_text(encoding="utf-8")
NEEDED = ("bash", "curl")
MISSING = [name for name in NEEDED if not shutil.which(name)]


def find_block(heading: str, language: str) -> str:
    """The first fenced block of this language below a heading of the README."""
    below = README.partition(f"\n### {heading}\n")[2]
    return below.partition(f"```{language}\n")[2].partition("\n```")[0]


@pytest.fixture(scope="module")
def stack(plain_stack: RunningStack) -> RunningStack:
    return plain_stack


@pytest.fixture(scope="module")
def folder(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which `.venv/bin/acuse` and `.acuse` are where a newcomer has them."""
    folder = tmp_path_factory.mktemp("checkout")
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (folder / ".acuse").symlink_to(stack.folder)
    for name, arguments in (("acuse", "-m cli "), ("python", "")):
        program = programs / name
        path = f"PYTHONPATH={shlex.quote(str(ROOT))}"
        program.write_text(f'#!/bin/sh\n{path} exec {shlex.quote(sys.executable)} {arguments}"$@"\n')
        program.chmod(0o755)
    return folder


def merchant(stack: RunningStack) -> httpx.Client:
    environment = stack.status()["environment"]
    headers = {"Authorization": f"Bearer {environment['ACUSE_MERCHANT_KEY']}"}
    return httpx.Client(base_url=environment["ACUSE_API_URL"], headers=headers, trust_env=False, timeout=30)


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: the quickstart cannot be typed in")
def test_the_quickstart_does_what_it_says(stack: RunningStack, folder: Path) -> None:
    commands = find_block("Quickstart", "sh")
    assert "/v1/payments" in commands and "sandbox notifications" in commands
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{stack.log()}"
    shown = done.stdout.splitlines()
    payment = json.loads(shown[0])
    assert (payment["method"], payment["amount_minor"], payment["state"]) == ("oxxo", 15000, "pending")
    assert payment["instructions"]["voucher_number"]
    assert re.search(rf"payment.completed +{payment['id']} +\d+ +completed +yes +200", done.stdout)
    story = json.loads(shown[-1])
    assert story["language"] == "es"
    assert any(entry["text"].endswith("informó que el pago se completó.") for entry in story["entries"])
    with merchant(stack) as client:
        assert client.get(f"/v1/payments/{payment['id']}").json()["state"] == "completed"


def test_a_merchant_that_fails_is_told_again(stack: RunningStack) -> None:
    sandbox_url = stack.status()["environment"]["ACUSE_SANDBOX_URL"]
    with merchant(stack) as client:
        wanted = {"url": f"{sandbox_url}/merchant/webhooks/fails"}
        made = client.post("/v1/endpoints", json=wanted, headers={"Idempotency-Key": "fails"}).json()
        stack.run("sandbox", "notifications", "--name", "fails", "--secret", made["secret"], "--answer", "500")
        tested = client.post(f"/v1/endpoints/{made['id']}/test")
        assert tested.status_code == 202

        def seen() -> list[dict[str, Any]]:
            told = httpx.get(f"{sandbox_url}/sandbox/notifications", trust_env=False).json()
            return [one for one in told if one["name"] == "fails"]

        wait_until(lambda: len(seen()) == 2, "it is told again", 30, every=0.2)
        assert [(one["answered"], one["verified"]) for one in seen()] == [(500, True), (200, True)]
        assert {one["id"] for one in seen()} == {tested.json()["notification_id"]}
        client.delete(f"/v1/endpoints/{made['id']}").raise_for_status()


def test_up_greets_with_a_key_and_addresses_that_work(stack: RunningStack) -> None:
    greeting = (stack.folder.parent / "up.log").read_text()
    file, printed = stack.folder / "merchant-key", stack.run("env").stdout.splitlines()
    environment, key = dict(shlex.split(line)[0].split("=", 1) for line in printed), file.read_text().strip()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert environment["ACUSE_MERCHANT_KEY"] == key
    assert re.search(rf"key +{key}\n", greeting)
    status = stack.run("status", "--json").stdout
    urls = json.loads(status)["urls"]
    assert urls["api"] == f"{environment['ACUSE_API_URL']}/v1"
    assert httpx.get(urls["docs"], trust_env=False).status_code == 200
    assert urls["docs"] in greeting
    assert key not in status
    with merchant(stack) as client:
        answer = client.get("/v1/payments")
        assert (answer.status_code, answer.headers["RateLimit-Limit"]) == (200, "600")


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: the sample cannot be typed in")
def test_the_sample_that_up_prints_makes_a_payment(stack: RunningStack) -> None:
    greeting = (stack.folder.parent / "up.log").read_text()
    sample = re.search(r"^ +curl (?:.*\\\n)+.*", greeting, re.MULTILINE)
    assert sample
    done = subprocess.run(
        ["bash", "-c", sample[0]],
        env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout).get("reference") == "ORD-1", done


def test_the_receiver_in_the_readme_verifies_and_handles_once() -> None:
    names: dict[str, Any] = {}
    exec(compile(find_block("Notifications", "python"), "README.md", "exec"), names)
    receive: Callable[..., int] = names["receive"]
    secret, now, body, seen = new_secret(), datetime.now(UTC), b'{"type": "payment.completed", "data": {}}', set[str]()
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", now, body.decode()),
    }
    assert [receive(secret, headers, body, seen) for _ in range(2)] == [204, 204]
    assert seen == {"msg_1"}
    assert receive(secret, headers, body + b" ", seen) == 401
    assert receive(new_secret(), headers, body, seen) == 401


def test_every_route_of_the_api_is_in_the_readme(stack: RunningStack) -> None:
    with merchant(stack) as client:
        paths = client.get("/v1/openapi.json").json()["paths"]
    table = README.partition("\n### Routes\n")[2].partition("\n### ")[0]
    for path in paths:
        last = [part for part in path.split("/") if not part.startswith("{")][-1]
        assert f"/{last}`" in table or f"/{last}/{{id}}`" in table, path
