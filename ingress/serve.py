"""Serve receiver and API on one port: python -m ingress.serve --host 127.0.0.1 --port 8000 [--only receiver|api]."""

import argparse
import asyncio
import gc
import resource
import signal
import socket
import sys
from collections.abc import Sequence

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

import bootstrap
from config import Config, ConfigError, load_config
from ingress.app import ApiDeps, ReceiverDeps, create_api, create_receiver
from ingress.edge import Edge
from ingress.metrics import share_through
from models.schema import NotReady

BACKLOG = 2048
MOST_CONNECTIONS = 4096
HEADER_SECONDS = 5
GRACE_SECONDS = 1  # for bodies that are still coming when it is told to stop
HEADER_BYTES = 64 * 1024
FILES = 16_384

log = structlog.get_logger(__name__)


class CannotServe(Exception):
    """The server does not start. The message is one line that says why."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. The exit code is 1, with one line on stderr, if it cannot start."""
    parser = argparse.ArgumentParser(prog="python -m ingress.serve", description="Serve the receiver and the API.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8080)
    parser.add_argument("--only", choices=("receiver", "api"))
    options = parser.parse_args(arguments)
    try:
        config = load_config()
        if config.metrics_dir:
            share_through(config.metrics_dir)
        bootstrap.configure_logging(config)
        bootstrap.check_start(config)
        asyncio.run(run(config, options.host, options.port, options.only))
    except (ConfigError, NotReady, CannotServe) as error:
        sys.stderr.write(f"acuse: {error}\n")
        return 1
    return 0


async def run(config: Config, host: str, port: int, only: str | None) -> None:
    """Serve the parts until a signal ends it; what was taken is then stored and answered."""
    receiver = None if only == "api" else bootstrap.build_receiver(config)
    api = None if only == "receiver" else bootstrap.build_api(config)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    allow_many_connections()
    gc.freeze()  # what is loaded by now stays; looking through it again and again would only cost time
    check_port(host, port)
    if receiver:
        receiver.doorbell.start()
        receiver.writer.start()
    log.info("ingress.serving", host=host, port=port, only=only)
    await serve(build_edge(receiver, api), host, port, stop)
    if receiver:
        receiver.writer.stop()
        receiver.doorbell.stop()
    log.info("ingress.stopped", port=port)


def build_edge(receiver: ReceiverDeps | None, api: ApiDeps | None) -> Edge:
    """The RSGI application of what is given, at least one of the two."""
    if receiver is None:
        assert api is not None
        app = create_api(api)
        return Edge(app, app, api.limits, lambda path, why: None)
    receiver_app = create_receiver(receiver)
    api_app = create_api(api) if api else receiver_app
    return Edge(receiver_app, api_app, receiver.limits, receiver.metrics.count_refused)


async def serve(edge: Edge, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then answer what is under way."""
    server = Server(
        edge,
        address=host,
        port=port,
        interface=Interfaces.RSGI,
        http=HTTPModes.http1,
        websockets=False,
        backlog=BACKLOG,
        backpressure=MOST_CONNECTIONS,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_SECONDS * 1000, max_buffer_size=HEADER_BYTES),
        log_enabled=False,
    )
    serving = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    asyncio.get_running_loop().call_later(GRACE_SECONDS, edge.give_up_bodies)
    server.stop()  # type: ignore[no-untyped-call]
    await serving
    stopping.cancel()


def check_port(host: str, port: int) -> None:
    """Granian shares its port with whoever asks, so that a second server would silently take half of the requests."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServe(f"cannot listen on {host}:{port}: {error.strerror}") from error


def allow_many_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    raise SystemExit(main())
