"""The two lines of the Dockerfile that a shell runs, run by a shell."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from embedded import free_port

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def run(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", script, *arguments],
        env={"PATH": PATH, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/healthz" else 503)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def health_check() -> str:
    found = re.search(r"^HEALTHCHECK .*\\\n +CMD (.+)$", DOCKERFILE, re.MULTILINE)
    assert found
    return found[1]


def test_the_health_check_asks_where_it_is_told(server: str) -> None:
    assert run(health_check(), ACUSE_HEALTH_URL=f"{server}/healthz").returncode == 0
    assert run(health_check(), ACUSE_HEALTH_URL=f"{server}/other").returncode != 0
    assert run(health_check(), ACUSE_HEALTH_URL=f"http://127.0.0.1:{free_port()}/healthz").returncode != 0
    assert ":-http://127.0.0.1:8080/healthz}" in health_check()
    assert '--port", "8080"' in DOCKERFILE, "what it asks by default is where the image's own command listens"


def test_the_image_has_the_acuse_command(tmp_path: Path) -> None:
    found = re.search(r"^ +&& (printf .+)$", DOCKERFILE, re.MULTILINE)
    assert found
    script = tmp_path / "acuse"
    assert run(found[1].replace("/usr/local/bin/acuse", str(script))).returncode == 0
    shown = run('"$0" "$@"', str(script), "payments", "--help")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "Usage: acuse payments [OPTIONS] COMMAND [ARGS]...")


def test_the_image_has_every_module() -> None:
    copied = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    modules = {path.name for path in ROOT.glob("*.py")}
    assert modules and {f"!/{name}" for name in modules} <= set(copied)
