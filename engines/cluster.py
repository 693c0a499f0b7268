"""The data folder of the embedded Postgres: made once, checked at every start, cleared of what a crash left behind."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

from engines.launch import launch
from engines.place import EngineError, Place

ENGINE_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
ENDING_SECONDS = 15.0
LOG_BYTES = 10_000_000
POSTGRES_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "max_connections": "100",
    "checkpoint_timeout": "15min",
    "wal_compression": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_error_statement": "panic",  # a failing statement holds payloads: its text and details stay out of the log
    "log_error_verbosity": "terse",
}

STATUS_LINE = 7  # of postmaster.pid, see src/include/utils/pidfile.h in PostgreSQL


def create_cluster(place: Place, data: Path, password: str) -> Place:
    """initdb, user and database `acuse`; returns the place to run it in.

    Made aside and renamed, so that an interrupted start leaves nothing half done.
    """
    draft = data.with_name("data.new")
    shutil.rmtree(draft, ignore_errors=True)
    handed = place.hand_over(data.with_name("password.new"), password)
    locale = ("--encoding=UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    _run(place, "initdb", "-D", str(draft), "-U", "acuse", "-A", "scram-sha-256", f"--pwfile={handed}", *locale)
    handed.unlink()
    _run(place, "postgres", "--single", "-D", str(draft), "postgres", stdin=b"CREATE DATABASE acuse\n")
    settled = place.settle(draft)
    draft.rename(data)
    return settled


def check_cluster(data: Path, version: str) -> None:
    """Raises EngineError when the data is of another major version than the program."""
    made_by = (data / "PG_VERSION").read_text(encoding="ascii").strip()
    if made_by != version.partition(".")[0]:
        raise EngineError(
            f"{data} was made by PostgreSQL {made_by} and the embedded one is {version}: "
            "choose another --data-dir, or carry the data over with pg_dump of the old version"
        )


def launch_server(place: Place, data: Path, port: int, sockets: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the server; `sockets` is the folder of its Unix socket."""
    settings = POSTGRES_SETTINGS | {"cluster_name": cluster_name(data), "unix_socket_directories": f'"{sockets}"'}
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    argv = [str(place.programs / "postgres"), "-D", str(data), "-p", str(port), *options]
    with open_log(log) as output:
        return launch(
            argv,
            identity=place.identity,
            death_signal=signal.SIGINT,  # to Postgres: a fast but clean shutdown
            env=ENGINE_ENVIRONMENT,
            cwd=place.home,
            output=output,
        )


def clear_leftovers(data: Path) -> None:
    """After a crash: remove a stale postmaster.pid and end orphaned backends, which hold the shared memory.

    Raises EngineError if another server runs on this folder. One that is shutting down is waited for.
    """
    deadline = time.monotonic() + ENDING_SECONDS
    while (number := postmaster(data)[0]) and _runs_postmaster(number, data):
        if time.monotonic() > deadline:
            raise EngineError(
                f"another Postgres (process {number}) runs on {data}: stop it, or choose another --data-dir"
            )
        time.sleep(0.1)
    for orphan in _backends(data):
        with suppress(ProcessLookupError):
            os.kill(orphan, signal.SIGKILL)
    (data / "postmaster.pid").unlink(missing_ok=True)  # its number may belong to an unrelated process by now


def postmaster(data: Path) -> tuple[int, str]:
    """(process id, status) as the server wrote them; (0, "") when there is no server."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0, ""
    return int(lines[0]) if lines else 0, lines[STATUS_LINE].strip() if len(lines) > STATUS_LINE else ""


def cluster_name(data: Path) -> str:
    """Stands in the title of every backend and tells whose it is."""
    return f"acuse-{hashlib.sha256(os.fsencode(data.resolve())).hexdigest()[:16]}"


def postgres_version(place: Place) -> str:
    return read_version(place.programs / "postgres", after="(PostgreSQL) ")


def read_version(program: Path, after: str) -> str:
    """The word that follows `after` in what `program --version` prints."""
    text = subprocess.run(
        [program, "--version"], capture_output=True, text=True, check=True, env=ENGINE_ENVIRONMENT
    ).stdout
    return text.partition(after)[2].split()[0]


def open_log(log: Path) -> IO[bytes]:
    """Open for appending, private; a grown one makes room first."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.rename(log.with_suffix(".log.1"))
    log.touch(mode=0o600)
    return log.open("ab")


def _runs_postmaster(number: int, data: Path) -> bool:
    command = _command_line(number)
    return b"postgres" in command and os.fsencode(data) in command


def _backends(data: Path) -> list[int]:
    title = f"postgres: {cluster_name(data)}:".encode()
    numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [number for number in numbers if _command_line(number).startswith(title)]


def _command_line(number: int) -> bytes:
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes()
    except OSError:
        return b""


def _run(place: Place, program: str, *arguments: str, stdin: bytes = b"") -> None:
    with tempfile.TemporaryFile() as output:
        process = launch(
            [str(place.programs / program), *arguments],
            identity=place.identity,
            env=ENGINE_ENVIRONMENT,
            cwd=place.home,
            stdin=subprocess.PIPE,
            output=output,
        )
        process.communicate(stdin)
        output.seek(0)
        text = output.read().decode(errors="replace").strip()
    if process.returncode != 0:
        raise EngineError(f"{program} failed (exit {process.returncode}): {text[-600:]}")
