"""Serve receiver and API on one port: python -m ingress.serve --host 127.0.0.1 --port 8000 [--only receiver|api]."""

import argparse
import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import structlog
import uvloop

from bootstrap_metrics import CannotListen, MetricsServer, share_through, tend
from bootstrap_serving import build_receiver
from bootstrap_starting import check_start, find_tracing
from config import Config, ConfigError, load_config
from ingress.app import ApiDeps, ReceiverDeps, create_api, create_receiver, open_desk
from ingress.connection import Connection
from ingress.crowd import Crowd
from ingress.edge import Edge
from ingress.wire import Patience
from logs import configure_logging
from models.engine import Role, most_connections
from models.schema import NotReady

PARTS: tuple[Role, ...] = ("receiver", "api")
BACKLOG = 2048
UNVERIFIED_BYTES = 256 * 1024 * 1024  # of all requests that are still being read or wait for their turn
HEADER_SECONDS = 5
GRACE_SECONDS = 1  # for requests that are still coming when it is told to stop
ANSWER_GRACE_SECONDS = 4
IDLE_SECONDS = 75
TICK_SECONDS = 0.2
FILES = 16_384
OTHER_FILES = 512  # for database, broker, logs and what the API calls

log = structlog.get_logger(__name__)


class CannotServe(Exception):
    """The server does not start. The message is one line that says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 1, with one line on stderr, if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m ingress.serve", description="Serve the receiver and the API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--only", choices=PARTS)
    options = parser.parse_args(arguments)
    try:
        config = load_config()
        if config.metrics_dir:
            share_through(config.metrics_dir)
        configure_logging(config.log_format)
        check_start(config, most_connections([options.only] if options.only else PARTS))
        MetricsServer(config).start()
        if config.metrics_dir:
            tend(config.metrics_dir)
        uvloop.run(run(config, options.host, options.port, options.only))
    except (ConfigError, NotReady, CannotListen, CannotServe) as error:
        sys.stderr.write(f"acuse: {error}\n")
        return 1
    return 0


async def run(config: Config, host: str, port: int, only: str | None) -> None:
    """Serve the parts until a signal ends it; what was taken is then stored and answered."""
    make_tracing = find_tracing(config)
    tracing = make_tracing("acuse-receiver") if make_tracing and only != "api" else None
    receiver = None if only == "api" else build_receiver(config, tracing.record_delivery if tracing else None)
    api = None if only == "receiver" else _build_api(config)
    edge = build_edge(receiver, api)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.freeze()  # what is loaded by now stays; looking through it again and again would only cost time
    if receiver:
        receiver.doorbell.start()
        receiver.writer.start()
    log.info("ingress.serving", host=host, port=port, only=only)
    await serve(edge, host, port, stop)
    if receiver:
        receiver.writer.stop()
        receiver.doorbell.stop()
    if tracing:
        tracing.close()
    log.info("ingress.stopped", port=port)


def _build_api(config: Config) -> ApiDeps:
    from bootstrap_api import build_api  # noqa: PLC0415 - a receiver alone does without what it imports

    return build_api(config)


def build_edge(receiver: ReceiverDeps | None, api: ApiDeps | None) -> Edge:
    """The adapter of what is given, at least one of the two, for the running event loop."""
    loop = asyncio.get_running_loop()
    if receiver is None:
        assert api is not None
        app = create_api(api)
        return Edge(loop, None, app, app, api.limits, lambda path, why: None)
    receiver_app = create_receiver(receiver)
    api_app = create_api(api) if api else receiver_app
    return Edge(loop, open_desk(receiver), receiver_app, api_app, receiver.limits, receiver.metrics.count_refused)


async def serve(edge: Edge, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then answer what is under way. Raises CannotServe if the port is taken."""
    loop = asyncio.get_running_loop()
    crowd = Crowd(allow_many_connections(), UNVERIFIED_BYTES)
    patience = Patience(HEADER_SECONDS, edge.limits.body_seconds, IDLE_SECONDS)

    def connect() -> asyncio.Protocol:
        return Connection(edge, edge.limits, patience, crowd, loop.time)

    try:
        server = await loop.create_server(connect, host, port, backlog=BACKLOG, reuse_port=False)
    except OSError as error:
        raise CannotServe(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), TICK_SECONDS)
        _check(crowd, loop.time())
    server.close()
    await _finish(crowd, loop)
    edge.close()


def _check(crowd: Crowd, now: float) -> None:
    for connection in crowd.members():
        connection.check(now)


async def _finish(crowd: Crowd, loop: asyncio.AbstractEventLoop) -> None:
    """Requests may still come for a moment; answers that are due get the time that any answer has."""
    for connection in crowd.members():
        connection.finish()
    bodies_until, answers_until = loop.time() + GRACE_SECONDS, loop.time() + ANSWER_GRACE_SECONDS
    while len(crowd) and loop.time() < answers_until:
        await asyncio.sleep(TICK_SECONDS / 4)
        if loop.time() > bodies_until:
            for connection in crowd.members():
                if not connection.is_waited_for():
                    connection.check(float("inf"))
    for connection in crowd.members():
        connection.close()


def allow_many_connections() -> int:
    """Raise the limit of open files as far as it helps and may be. How many connections there is room for then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - OTHER_FILES, wanted // 2)


if __name__ == "__main__":
    raise SystemExit(main())
