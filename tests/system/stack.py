"""A whole stack as a person starts it, in a folder of its own, and the commands that speak to it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from embedded import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class RunningStack:
    """`acuse up` in a folder."""

    folder: Path
    process: subprocess.Popen[bytes]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """One `acuse` command against this stack."""
        command = [sys.executable, "-m", "cli", *arguments, "--data-dir", str(self.folder)]
        done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=240)
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}\n{self.log()}"
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """The same, without waiting for its end."""
        command = [sys.executable, "-m", "cli", *arguments, "--data-dir", str(self.folder)]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def status(self) -> dict[str, Any]:
        return dict(json.loads((self.folder / "stack.json").read_text()))

    def pid(self, name: str) -> int | None:
        pid: int | None = self.status()["processes"][name]["pid"]
        return pid

    def kill(self, name: str) -> None:
        """kill -9 one of the stack's processes with its children, and wait until another one has taken its place. One that
        could not start because another was away is waited for first."""
        wait_until(lambda: self.pid(name) is not None, f"{name} runs", 30)
        victim = self.pid(name)
        assert victim is not None
        os.killpg(victim, signal.SIGKILL)
        wait_until(lambda: self.pid(name) not in (victim, None), f"{name} is started again", 30)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows from the stack's database; none while it does not answer."""
        try:
            connection = psycopg2.connect(self.status()["environment"]["ACUSE_DATABASE_URL"])
        except psycopg2.OperationalError:
            return []
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def is_quiet(self) -> bool:
        return self.query("select count(*) from inbox_events where status = 'received'") == [(0,)]

    def is_done(self) -> bool:
        """As quiet, and nothing waits for a PSP."""
        return self.query("select count(*) from inbox_events where processed_at is null") == [(0,)]

    def restarts(self) -> int:
        return sum(child["restarts"] for child in self.status()["processes"].values())

    def log(self) -> str:
        return (self.folder.parent / "up.log").read_text(errors="replace")[-6000:]


def wait_until(holds: Any, what: str, seconds: float, every: float = 0.05) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(every)


@contextmanager
def run_stack(parent: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[RunningStack]:
    """Start a stack, wait until it is ready, stop it at the end."""
    parent.mkdir(parents=True, exist_ok=True)
    folder, log = parent / "data", parent / "up.log"
    command = [sys.executable, "-m", "cli", "up", "--port", str(free_port()), "--data-dir", str(folder), *arguments]
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=ROOT, stdout=out, stderr=out, env=environment, start_new_session=True)
    try:
        wait_until(lambda: process.poll() is not None or b"is ready in" in log.read_bytes(), "ready", 180)
        assert process.poll() is None, log.read_text(errors="replace")
        yield RunningStack(folder, process)
    finally:
        stop(process, folder)


def stop(process: subprocess.Popen[bytes], folder: Path) -> None:
    """Stop the stack. Its programs need not wait for each other, so they are told at the same time; that `up` stops them in
    its own order is tried elsewhere."""
    with suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with suppress(OSError, ValueError):
        for name, child in json.loads((folder / "stack.json").read_text())["processes"].items():
            if child["pid"] and name not in ("postgres", "redis"):
                os.kill(child["pid"], signal.SIGTERM)
    process.wait(60)
