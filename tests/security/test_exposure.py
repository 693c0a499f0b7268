"""What a stack shows to the network by default: everything on loopback, engines behind passwords, each process its own routes alone."""

import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg2
import pytest
from redis import Redis
from redis.exceptions import AuthenticationError

from bootstrap_serving import build_checks
from bootstrap_starting import build_engine
from config import load_config
from embedded import RunningEngine, free_port
from models.schema import NotReady
from tests.ingress.http1 import exchange, request
from tests.ingress.matrix import COMMON, ROUTES
from tests.ingress.senders import environment, stripe_body, stripe_headers
from tests.ingress.test_serve import execute, served
from tests.security.planting import Planted
from tests.security.sockets import find_listening

ROOT = Path(__file__).resolve().parents[2]
LISTENERS = {"postgres", "redis", "web", "sandbox"}
TELLTALE = re.compile(
    r"(?i)server|x-powered-by|via|werkzeug|flask|python|gunicorn|uvicorn|uvloop|[0-9]+\.[0-9]+\.[0-9]+"
)
NOT_TOLD = ("Traceback", 'File "', "psycopg2", "sqlalchemy", "werkzeug", "/ingress/", "SELECT", "select ")


@pytest.fixture
def settings(database_url: str, redis_server: RunningEngine, tmp_path: Path) -> dict[str, str]:
    return environment(database_url, redis_server.url) | {
        "ACUSE_METRICS_DIR": str(tmp_path / "metrics"),
        "FLASK_DEBUG": "1",  # whatever stands in the environment, debugging stays off
        "FLASK_ENV": "development",
        "PYTHONWARNINGS": "ignore",
    }


def test_everything_that_up_starts_listens_on_this_machine_alone(planted: Planted) -> None:
    processes = planted.stack.status()["processes"]
    found = {name: find_listening([child["pid"]]) for name, child in processes.items()}
    assert {name for name, places in found.items() if places} == LISTENERS, found
    assert {address for places in found.values() for address, _ in places} == {"127.0.0.1"}
    assert all(len(found[name]) == 1 for name in LISTENERS), found
    engines = planted.stack.status()["engines"]
    assert all(found[name] == {("127.0.0.1", engines[name]["port"])} for name in ("postgres", "redis"))
    assert find_listening([planted.stack.process.pid]) >= set().union(*found.values()), "its children are looked at too"


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "127.0.0.1"])
def test_a_socket_that_is_open_to_all_would_be_found(address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as server:
        try:
            server.bind((address, 0))
        except OSError as error:
            pytest.skip(f"this machine has no {address}: {error}")
        server.listen()
        assert (address, server.getsockname()[1]) in find_listening([os.getpid()])


def test_the_database_wants_a_password_and_keeps_none(planted: Planted) -> None:
    url = planted.stack.status()["environment"]["ACUSE_DATABASE_URL"]
    query = planted.stack.query
    assert query("show listen_addresses") == [("127.0.0.1",)]
    assert query("select distinct auth_method from pg_hba_file_rules where error is null") == [("scram-sha-256",)]
    assert query("select bool_and(rolpassword like 'SCRAM-SHA-256$%') from pg_authid where rolcanlogin") == [(True,)]
    sockets = Path(query("show unix_socket_directories")[0][0].strip('"'))
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    parts = urlsplit(url)
    for login in ("acuse:", "acuse:wrong", "postgres:postgres"):
        stranger = urlunsplit(parts._replace(netloc=f"{login}@{parts.hostname}:{parts.port}"))
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(stranger, connect_timeout=5)


def test_redis_wants_a_password_and_is_bound_to_this_machine(planted: Planted) -> None:
    parts = urlsplit(planted.stack.status()["environment"]["ACUSE_REDIS_URL"])
    assert parts.hostname and parts.port
    with Redis.from_url(parts.geturl()) as redis:
        told = {name: redis.config_get(name)[name] for name in ("bind", "protected-mode", "requirepass")}
    assert (told["bind"], told["protected-mode"], told["requirepass"]) == ("127.0.0.1", "yes", parts.password)
    assert len(parts.password or "") >= 32
    for password in (None, "", "wrong"):
        with Redis(parts.hostname, parts.port, password=password) as stranger, pytest.raises(AuthenticationError):
            stranger.ping()


@pytest.mark.parametrize("scheme", ["redis", "amqp"])
def test_whether_it_is_ready_is_told_to_anybody_without_addresses(settings: dict[str, str], scheme: str) -> None:
    away = f"127.0.0.1:{free_port()}"
    gone = {"DATABASE_URL": f"postgresql://acuse:hunter2@{away}/acuse", "BROKER_URL": f"{scheme}://u:hunter2@{away}/0"}
    config = load_config(settings | {f"ACUSE_{name}": url for name, url in gone.items()})
    for name, check in build_checks(config, build_engine(config, "api")).items():
        with pytest.raises(NotReady) as complaint:
            check()
        assert str(complaint.value).startswith(f"the {name} does not answer (")
        assert not re.search(r"127\.0\.0\.1|hunter2|[0-9]{4}", str(complaint.value))


def test_the_procfile_opens_two_ports_and_no_other() -> None:
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines())
    opening = {name: line for name, line in lines.items() if re.search(r"--host|--port|-b |--bind|flower", line)}
    assert opening.keys() == {"web", "api"}
    assert "--only receiver" in opening["web"] and "--only api" in opening["api"]
    assert all("celery" in line or name == "release" for name, line in lines.items() if name not in opening)
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^EXPOSE (.+)$", image, re.MULTILINE) == ["8080 8081"]


def paths() -> Iterator[str]:
    for rule in sorted({*ROUTES, *COMMON}):
        yield re.sub(r"<uuid:[a-z_]+>", "0191f3c2-0000-7000-8000-000000000000", rule).replace("<name>", "no-such-file")


def test_the_receiver_serves_webhooks_and_its_health_and_nothing_else(settings: dict[str, str]) -> None:
    with served(settings, "--only", "receiver") as (_, port):
        answers = {
            (method, path): exchange(port, request(path, {}, method=method)).status
            for path in [*paths(), "/console", "/console/", "/debug", "/static/x", "/webhooks", "/webhooks/"]
            for method in ("GET", "POST")
        }
        body = stripe_body()
        assert exchange(port, request("/webhooks/stripe", stripe_headers(body), body)).status == 200
        assert exchange(port, request("/webhooks/stripe", {}, method="GET")).status == 405
    served_paths = {path for (method, path), status in answers.items() if method == "GET" and status != 404}
    assert served_paths == {"/healthz", "/readyz"}
    assert {status for (method, _), status in answers.items() if method == "POST"} <= {404, 405}


def test_the_api_serves_no_webhooks(settings: dict[str, str]) -> None:
    body = stripe_body()
    with served(settings, "--only", "api") as (_, port):
        for psp in ("stripe", "conekta", "stp", "stripe/default"):
            assert exchange(port, request(f"/webhooks/{psp}", stripe_headers(body), body)).status == 404
        open_to_all = {path for path in paths() if exchange(port, request(path, {}, method="GET")).status == 200}
    assert open_to_all == {"/", "/healthz", "/readyz", "/metrics", "/v1/docs", "/v1/openapi.json"}


def test_no_answer_tells_what_answers_or_where_it_failed(settings: dict[str, str], database_url: str) -> None:
    garbage = b"GET / HTTP/9.9\r\n\r\n"
    bearer = {"authorization": "Bearer ak_" + "x" * 40}
    with served(settings) as (_, port):
        asked = [
            request(path, {}, method="GET")
            for path in ("/healthz", "/readyz", "/nothing", "/v1/payments", "/webhooks/x")
        ]
        asked += [request("/webhooks/stripe", {}, b"{}"), request("/v1/login", {}, b"{"), garbage]
        answers = [exchange(port, one) for one in asked]
        execute(database_url, "alter table api_keys rename to gone")
        broken = exchange(port, request("/v1/payments", bearer, method="GET"))
        assert broken.status == 500, broken.body
    for answer in (*answers, broken):
        named = [f"{name}: {value}" for name, value in answer.headers.items() if name not in ("date", "content-length")]
        assert not [line for line in named if TELLTALE.search(line)], named
        assert not [word for word in NOT_TOLD if word in answer.body.decode()], answer.body
