"""The docs page in a real browser: it shows every operation, and no request leaves the machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from config import load_config
from embedded import RunningEngine
from tests.ingress.conftest import serve_edge
from tests.ingress.senders import environment

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason=f"none of {', '.join(BROWSERS)} is installed: no browser to look with"
)

# What a browser does of its own accord; what cannot be turned off is led to a port that it refuses to speak to.
NOWHERE = "http://127.0.0.1:9/"
QUIET = (
    f"--component-updater=url-source={NOWHERE}",
    f"--gaia-url={NOWHERE}",
    "--disable-background-networking",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-extensions",
    "--disable-features=AutofillServerCommunication,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,Translate",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
)
PNG, LEAST_PICTURE_BYTES = b"\x89PNG", 50_000
TRIES, SECONDS = 3, 60


class Canary:
    """A listener that remembers how each connection to it began. Every name that is not ours leads to it."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener, self.port, self.heard = listener, listener.getsockname()[1], list[bytes]()

    def listen(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.heard.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nheard")
                except OSError:
                    self.heard.append(b"somebody")


@contextmanager
def run_canary() -> Iterator[Canary]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        canary = Canary(listener)
        thread = threading.Thread(target=canary.listen, daemon=True)
        thread.start()
        yield canary
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


@pytest.fixture
def canary() -> Iterator[Canary]:
    with run_canary() as running:
        yield running


@pytest.fixture(scope="module")
def docs_url(make_database: Callable[[], str], redis_server: RunningEngine) -> Iterator[str]:
    with serve_edge(load_config(environment(make_database(), redis_server.url))) as served:
        yield f"http://127.0.0.1:{served.port}/v1/docs"


class Visit:
    """What the browser made of a page: its DOM, a picture, and the addresses that it asked for."""

    def __init__(self, folder: Path, dom: str) -> None:
        self.dom, self.picture = dom, (folder / "page.png").read_bytes()
        log = json.loads((folder / "net.json").read_text())
        params = (event.get("params", {}) for event in log["events"])
        urls = {one["url"] for one in params if isinstance(one, dict) and "method" in one and "url" in one}
        outward = (url for url in urls if urlsplit(url).scheme.startswith(("http", "ws")))
        self.asked = sorted(url for url in outward if not url.startswith(NOWHERE))


def visit(url: str, folder: Path, canary: Canary) -> Visit:
    """A browser on a busy machine now and then never starts; each try has a folder of its own, and all one canary."""
    for attempt in range(TRIES):
        try:
            return look(url, folder / str(attempt), canary)
        except subprocess.TimeoutExpired:
            print(f"the browser did not end within {SECONDS} s, try {attempt + 1} of {TRIES}")
    pytest.fail(f"the browser did not end in {TRIES} tries")


def look(url: str, folder: Path, canary: Canary) -> Visit:
    assert BROWSER is not None
    folder.mkdir()
    arguments = [
        "--headless=new",
        "--no-sandbox",  # which refuses to run as root, and in most containers
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={folder / 'profile'}",
        f"--host-resolver-rules=MAP * 127.0.0.1:{canary.port}, EXCLUDE 127.0.0.1",
        "--no-proxy-server",
        f"--log-net-log={folder / 'net.json'}",
        "--virtual-time-budget=10000",
        "--window-size=1280,2400",
        f"--screenshot={folder / 'page.png'}",
        "--dump-dom",
    ]
    command = [BROWSER, *QUIET, *arguments, url]
    browser = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        dom, said = browser.communicate(timeout=SECONDS)
    finally:
        with suppress(ProcessLookupError):  # Debian's chromium is a script, and a browser has children
            os.killpg(browser.pid, signal.SIGKILL)
    assert browser.returncode == 0, said
    return Visit(folder, dom)


def test_every_operation_is_shown_and_nobody_else_is_asked(docs_url: str, tmp_path: Path, canary: Canary) -> None:
    page = visit(docs_url, tmp_path, canary)
    document = httpx.get(docs_url.replace("docs", "openapi.json"), trust_env=False).json()
    operations = [(path, one) for path, item in document["paths"].items() for one in item.values() if "summary" in one]
    assert len(operations) > 20
    for path, operation in operations:
        assert f'data-path="{path}"' in page.dom
        assert operation["summary"] in page.dom
    assert "Authorize" in page.dom
    assert "Failed to load" not in page.dom and "Unable to render" not in page.dom
    assert page.picture.startswith(PNG) and len(page.picture) > LEAST_PICTURE_BYTES
    names = ("acuse.css", "favicon-32x32.png", "start.js", "swagger-ui-bundle.js", "swagger-ui.css")
    ours = [docs_url, *(f"{docs_url}/{name}" for name in names), docs_url.replace("docs", "openapi.json")]
    assert page.asked == sorted(ours)
    assert canary.heard == []


def test_an_operation_that_is_opened_shows_its_examples(docs_url: str, tmp_path: Path, canary: Canary) -> None:
    page = visit(f"{docs_url}#/payments/post_v1_payments", tmp_path, canary)
    assert 'curl "$ACUSE_API_URL/v1/payments"' in page.dom
    assert "answer = httpx.post(" in page.dom
    assert canary.heard == []


def test_the_canary_would_hear_a_request_that_leaves(tmp_path: Path, canary: Canary) -> None:
    page = visit("http://elsewhere.example/", tmp_path, canary)
    assert any(b"elsewhere.example" in said for said in canary.heard)
    assert "http://elsewhere.example/" in page.asked
