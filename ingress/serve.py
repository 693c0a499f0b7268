"""Serve receiver and API on one port: python -m ingress.serve --host 127.0.0.1 --port 8000 [--only receiver|api]."""

import argparse
import asyncio
import resource
import signal
import socket
import sys
from contextlib import suppress

import structlog
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from config import ConfigError, load_config
from ingress.app import ApiDeps, ReceiverDeps, create_api, create_receiver
from ingress.edge import Edge, Limits
from ingress.metrics import share_through
from models.schema import NotReady

BACKLOG = 2048
MOST_CONNECTIONS = 4096
HEADER_SECONDS = 5
HEADER_BYTES = 64 * 1024
FILES = 16_384

log = structlog.get_logger(__name__)


class CannotServe(Exception):
    """The server does not start. The message is one line that says why."""


def build_edge(receiver: ReceiverDeps | None, api: ApiDeps | None) -> Edge:
    """The RSGI application of what is given, at least one of the two."""
    apps = [create_receiver(receiver)] if receiver else []
    apps += [create_api(api)] if api else []
    limits = receiver.limits if receiver else api.limits
    return Edge(apps[0], apps[-1], limits, receiver.metrics.count_refused if receiver else lambda path, why: None)


async def serve(edge: Edge, host: str, port: int, stop: asyncio.Event) -> None:
    """Serve until `stop` is set, then answer what is under way. Raises CannotServe if the port is taken."""
    check_port(host, port)
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
    server.stop()
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
