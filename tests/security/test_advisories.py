"""What `make security` says of the locked packages: a known hole fails, and advisories that cannot be asked are never silence."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from embedded import free_port

ROOT = Path(__file__).resolve().parents[2]
HOLE = {
    "vulns": [
        {
            "id": "PYSEC-2026-1",
            "summary": "invented",
            "affected": [{"package": {"name": "celery", "ecosystem": "PyPI"}, "ranges": []}],
        }
    ]
}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    file = tmp_path / "some.lock"
    file.write_text(f"celery==5.7.0 --hash=sha256:{'0' * 64}\nflask==3.1.3 --hash=sha256:{'1' * 64}\n")
    return file


@contextmanager
def advisories(status: int, holes: dict[str, Any]) -> Iterator[str]:
    """A feed that knows these holes by package."""

    class Feed(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["package"]["name"]
            said = json.dumps(holes.get(asked, {})).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Feed) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


def ask(lock: Path, url: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, ".ci/advisories.py", "--osv-url", url, str(lock)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return done.returncode, done.stdout.splitlines()


def test_a_known_hole_fails_and_is_named(lock: Path) -> None:
    with advisories(200, {"celery": HOLE}) as url:
        code, said = ask(lock, url)
    assert (code, said) == (
        1,
        ["pip-audit: celery 5.7.0: PYSEC-2026-1", "pip-audit: 2 packages, 1 with a known hole"],
    )


def test_without_a_known_hole_it_passes_and_says_how_many_it_asked_about(lock: Path) -> None:
    with advisories(200, {}) as url:
        assert ask(lock, url) == (0, ["pip-audit: 2 packages, 0 with a known hole"])


def test_advisories_that_cannot_be_asked_are_told_and_fail_nothing(lock: Path) -> None:
    code, said = ask(lock, f"http://127.0.0.1:{free_port()}/v1/query")
    assert code == 0 and len(said) == 1
    assert said[0].startswith("pip-audit: not run: ") and "refused" in said[0]
    with advisories(500, {}) as url:
        code, said = ask(lock, url)
    assert code == 0 and said[0].startswith("pip-audit: not run: ")


def test_it_is_about_the_locks_of_the_project() -> None:
    recipe = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nsecurity:")[2].partition("\n\n")[0]
    assert ".ci/advisories.py requirements.lock requirements-image.lock" in recipe
    assert "bandit" in recipe
    assert "\nmake security\n" in (ROOT / ".ci/run").read_text(encoding="utf-8")
