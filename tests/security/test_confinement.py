"""The image's processes run as nobody in particular on a root that is read-only, and need no more than a small /tmp."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from embedded import RunningEngine, free_port
from tests.ingress.http1 import exchange, post, request
from tests.ingress.senders import environment, stripe_body, stripe_headers
from tests.security.container import Container, NotPossible, listening, run_container
from tests.system.stack import wait_until

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
PROCFILE = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines())


@pytest.fixture(scope="module")
def container(
    make_database, redis_server: RunningEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    settings = environment(make_database(), redis_server.url) | {"ACUSE_METRICS_DIR": "/tmp/metrics"}
    try:
        with run_container(tmp_path_factory.mktemp("image"), settings) as running:
            code, said = running.run("python -c 'import sys; print(sys.version_info[:2])'")
            assert code == 0, said
            yield running
    except NotPossible as error:
        print(f"not run: {error}")
        pytest.skip(str(error))


def on_port(line: str, port: int) -> str:
    return f"PORT={port}; {line}"


def test_nothing_but_a_small_tmp_can_be_written_and_nobody_is_root(container: Container) -> None:
    code, said = container.run("id -u; touch /srv/app/config.py /srv/probe /probe /etc/probe /var/tmp/probe")
    assert code != 0 and said.splitlines()[0] == "10001"
    assert len([line for line in said.splitlines() if "Read-only file system" in line or "denied" in line]) == 5, said
    code, said = container.run(
        "touch /tmp/probe && rm /tmp/probe && head -c 17000000 /dev/zero > /tmp/large; rm /tmp/large"
    )
    assert "No space left" in said


def test_a_webhook_is_taken_and_applied_by_processes_that_can_write_nowhere_else(container: Container) -> None:
    web_port, api_port = free_port(), free_port()
    assert container.run(PROCFILE["release"])[0] == 0
    lines = [
        on_port(PROCFILE["web"], web_port),
        on_port(PROCFILE["api"], api_port),
        PROCFILE["worker"],
        PROCFILE["beat"],
    ]
    with container.running(*lines) as processes:
        for port in (web_port, api_port):
            wait_until(lambda port=port: _is_ready(port), "ready", 60)
        body = stripe_body()
        assert post(web_port, "/webhooks/stripe", stripe_headers(body), body).status == 200
        engine = create_engine(container.environment["ACUSE_DATABASE_URL"].replace("://", "+psycopg2://"))
        wait_until(lambda: _is_applied(engine), "the webhook is applied", 60)
        wait_until(lambda: "acuse-beat-schedule" in str(container.written()), "beat ticks", 60)
        engine.dispose()
        assert [process.poll() for process in processes] == [None] * 4
        page = exchange(api_port, request("/metrics", {}, method="GET")).body.decode()
        assert 'acuse_deliveries_total{answer="stored",psp="stripe"} 1.0' in page
        web, api, worker, beat = (listening(process) for process in processes)
        assert (web, api) == ({("0.0.0.0", web_port)}, {("0.0.0.0", api_port)})
        assert (worker, beat) == (set(), set()), "they listen to nobody"
        time.sleep(1)
        others = {
            name
            for name in container.written()
            if not re.match(r"metrics/[a-z_]+\d+-[\w.-]+\.db$|acuse-beat-schedule", name)
        }
        assert others == set()


def _is_ready(port: int) -> bool:
    try:
        return exchange(port, request("/readyz", {}, method="GET")).status == 200
    except OSError:
        return False


def _is_applied(engine) -> bool:
    with engine.connect() as connection:
        return connection.scalar(text("select state from payments")) == "completed"


def test_the_image_has_a_user_who_is_not_root_and_owns_nothing_of_it() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)$", last, re.MULTILINE)
    assert user == ["10001:10001"]
    after = last.partition("USER ")[2]
    assert not re.search(r"^(RUN|COPY|ADD)", after, re.MULTILINE), "what is put there belongs to root"
    assert "--chown" not in DOCKERFILE and "sudo" not in DOCKERFILE
    assert re.search(r"useradd --system .*--no-create-home", last)


def test_the_image_holds_no_secret_and_nothing_that_nobody_looked_at() -> None:
    named = re.findall(r"^(?:ENV|ARG)\s+(.+)$", DOCKERFILE, re.MULTILINE)
    names = {word.partition("=")[0] for line in named for word in line.split()}
    assert names == {"PATH", "PYTHONPATH", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    assert not re.search(r"^ADD|https?://(?!127\.0\.0\.1)", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    first, *allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert first == "*", "what is not named stays outside"
    assert not [name for name in allowed if re.search(r"\.env|\.acuse|\.git|secret|password|\.pem|tests", name)]
