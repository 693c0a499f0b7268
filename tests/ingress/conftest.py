"""The receiver as it is shipped: its own composition, real Postgres and Redis, over real sockets."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import uvloop
from sqlalchemy import Engine, create_engine, text
from werkzeug.serving import make_server

import bootstrap_api
import bootstrap_serving
from config import Config, load_config
from embedded import RunningEngine, free_port
from ingress.app import ApiDeps, ReceiverDeps, create_receiver
from ingress.serve import build_edge, serve
from tests.ingress.senders import environment


@dataclass(frozen=True)
class Served:
    """A running receiver and the database behind it."""

    kind: str
    port: int
    engine: Engine
    deps: ReceiverDeps

    def stored(self) -> list[tuple[str, str]]:
        with self.engine.connect() as connection:
            rows = connection.execute(text("select event_key, status from inbox_events order by id"))
            return [(row.event_key, row.status) for row in rows]

    def count(self) -> int:
        with self.engine.connect() as connection:
            return connection.scalar(text("select count(*) from inbox_events")) or 0

    def empty(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(text("truncate inbox_events, inbox_payloads"))


@contextmanager
def serve_edge(config: Config, adapt: Callable[[ApiDeps], ApiDeps] = lambda deps: deps) -> Iterator[Served]:
    """The edge, as `python -m ingress.serve` runs it, on a loop in a thread; `adapt` may change the API's parts."""
    port, loop, stop = free_port(), uvloop.new_event_loop(), asyncio.Event()
    deps = bootstrap_serving.build_receiver(config)

    async def run() -> None:
        await serve(build_edge(deps, adapt(bootstrap_api.build_api(config))), "127.0.0.1", port, stop)

    with _running("edge", deps, config, port) as served:
        thread = threading.Thread(target=lambda: loop.run_until_complete(run()))
        thread.start()
        try:
            _wait_until_listening(port)
            yield served
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(10)
            assert not thread.is_alive()


@contextmanager
def serve_wsgi(config: Config) -> Iterator[Served]:
    """The same application under a plain WSGI server."""
    deps = bootstrap_serving.build_receiver(config)
    server = make_server("127.0.0.1", 0, create_receiver(deps), threaded=True)
    with _running("wsgi", deps, config, server.port) as served:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield served
        finally:
            server.shutdown()
            thread.join(10)
            server.server_close()


SERVERS = {"edge": serve_edge, "wsgi": serve_wsgi}


@contextmanager
def _running(kind: str, deps: ReceiverDeps, config: Config, port: int) -> Iterator[Served]:
    engine = create_engine(config.database_url)
    deps.doorbell.start()
    deps.writer.start()
    try:
        yield Served(kind, port, engine, deps)
    finally:
        deps.writer.stop()
        deps.doorbell.stop()
        engine.dispose()


def _wait_until_listening(port: int) -> None:
    import socket
    import time

    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


@pytest.fixture(scope="session")
def make_config(make_database: Callable[[], str], redis_server: RunningEngine) -> Callable[..., Config]:
    """A configuration with a database of its own; `more` are further variables."""

    def make(**more: str) -> Config:
        return load_config(environment(make_database(), redis_server.url) | more)

    return make


@pytest.fixture(scope="session", params=list(SERVERS))
def any_server(request: pytest.FixtureRequest, make_config: Callable[..., Config]) -> Iterator[Served]:
    with SERVERS[request.param](make_config()) as served:
        yield served


@pytest.fixture
def anywhere(any_server: Served) -> Served:
    """The receiver with an empty inbox, once behind the edge and once under plain WSGI."""
    any_server.empty()
    return any_server


@pytest.fixture(scope="session")
def edge_server(make_config: Callable[..., Config]) -> Iterator[Served]:
    with serve_edge(replace(make_config(), body_seconds=1.0)) as served:
        yield served


@pytest.fixture
def edge(edge_server: Served) -> Served:
    """The receiver behind the edge, with an empty inbox; a body must be there within one second."""
    edge_server.empty()
    return edge_server
