"""The receiver as it ships, as a process of its own, and nginx in front of it."""

import os
import resource
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from bench.processes import ROOT, STOP_SECONDS, wait_for
from embedded import free_port
from engines.launch import launch
from tests.faults.abuse.wire import HOST

COUNTED = ("inbox_events", "payments", "transitions", "discrepancies", "notifications")
NGINX = """
daemon off; master_process off; worker_rlimit_nofile {files}; pid {folder}/nginx.pid; error_log {folder}/error.log crit;
events {{ worker_connections {connections}; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_header_timeout 5s; client_body_timeout 5s; client_max_body_size 1m; proxy_request_buffering on;
  upstream receiver {{ server 127.0.0.1:{receiver}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://receiver; proxy_http_version 1.1; proxy_set_header Connection ""; }}
  }}
}}
"""


@dataclass(frozen=True)
class Receiver:
    """A running receiver: its port, its process, its database."""

    port: int
    pid: int
    is_running: Callable[[], bool]
    database_url: str

    def is_well(self) -> bool:
        """The same process still answers for itself."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/healthz", timeout=5) as answer:
            return self.is_running() and answer.status == 200

    def counts(self) -> dict[str, int]:
        """How many rows the tables have in which a delivery can leave something."""
        with psycopg2.connect(self.database_url) as connection, connection.cursor() as cursor:
            cursor.execute("select " + ", ".join(f"(select count(*) from {table})" for table in COUNTED))
            row = cursor.fetchone()
        connection.close()
        assert row is not None
        return dict(zip(COUNTED, row, strict=True))

    def memory_mib(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - ten thousand Paths hold up the good sender here


@contextmanager
def serve_receiver(folder: Path, settings: Mapping[str, str], files: int | None = None) -> Iterator[Receiver]:
    """Start it with these ACUSE_* variables and end it at the end; with `files` it may not open more descriptors."""
    port = free_port()
    limit = ["prlimit", f"--nofile={files}:{files}"] if files else []
    argv = [*limit, sys.executable, "-m", "ingress.serve", "--host", HOST, "--port", str(port)]
    with _run(argv, folder, port, settings) as process:
        yield Receiver(port, process.pid, lambda: process.poll() is None, settings["ACUSE_DATABASE_URL"])


@contextmanager
def serve_nginx(folder: Path, program: str, receiver: int) -> Iterator[int]:
    """A buffering reverse proxy in front of the receiver's port; gives its own port."""
    port = free_port()
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 4096)
    text = NGINX.format(files=files, connections=files // 2, folder=folder, receiver=receiver, port=port)
    (folder / "nginx.conf").write_text(text)
    with _run([program, "-p", str(folder), "-c", str(folder / "nginx.conf")], folder, port, {}):
        yield port


@contextmanager
def _run(
    argv: Sequence[str], folder: Path, port: int, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """From when it is ready to the end of the block; it does not outlive this process either."""
    with (folder / "output.log").open("ab") as output:
        process = launch(argv, env={"PATH": "/usr/bin:/bin", **settings}, cwd=ROOT, output=output)
    try:
        wait_for(f"http://{HOST}:{port}/readyz")
        yield process
        process.terminate()
        process.wait(STOP_SECONDS)
    finally:
        process.kill()
        process.wait()
