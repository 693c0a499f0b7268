"""What the image runs, as near as a machine without a container engine gets: its files, its user, a root that is read-only."""

import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.security.sockets import find_listening

ROOT = Path(__file__).resolve().parents[2]
PLACE = Path("/srv")  # in the namespace alone, a folder in memory with the application and its Python
USER = "10001"  # as in the Dockerfile
# Everything that is mounted becomes read-only but for what the kernel gives any container, and /tmp, which is small.
SET_UP = """
set -e
mount -t tmpfs -o mode=755 tmpfs {place}
mkdir {place}/app {place}/python {place}/packages {place}/bin
mount --bind {app} {place}/app
mount --bind {python} {place}/python
mount --bind {packages} {place}/packages
printf '#!/bin/sh\\nexec {place}/python/bin/{name} "$@"\\n' > {place}/bin/python
chmod 755 {place}/bin/python
cut -d' ' -f5 /proc/self/mountinfo | sort -u | while read -r mounted; do
    case "$mounted" in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$mounted" ;; esac
done
mount -t tmpfs -o size=16m,mode=1777 tmpfs /tmp
echo ready
exec sleep 3600
"""


class NotPossible(Exception):
    """This machine cannot do it. The message says why."""


@dataclass
class Container:
    """A mount namespace in which lines of the Procfile can be run."""

    holder: int
    environment: Mapping[str, str]

    def start(self, line: str) -> subprocess.Popen[str]:
        """Run it by a shell, as the image's user."""
        enter = ["nsenter", "--mount", "--target", str(self.holder)]
        become = [
            "setpriv",
            "--reuid",
            USER,
            "--regid",
            USER,
            "--clear-groups",
            "--no-new-privs",
            "--bounding-set=-all",
        ]
        return subprocess.Popen(
            [*enter, *become, "sh", "-c", f"cd {PLACE}/app && {line}"],
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, line: str) -> tuple[int, str]:
        """(exit code, what it said)."""
        process = self.start(line)
        said, _ = process.communicate(timeout=120)
        return process.returncode, said

    @contextmanager
    def running(self, *lines: str) -> Iterator[list[subprocess.Popen[str]]]:
        processes = [self.start(line) for line in lines]
        try:
            yield processes
        finally:
            for process in processes:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                end(process)

    def written(self) -> set[str]:
        """The files in /tmp of the namespace."""
        folder = Path(f"/proc/{self.holder}/root/tmp")
        return {str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir()}


def end(process: subprocess.Popen[str]) -> None:
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def listening(process: subprocess.Popen[str]) -> set[tuple[str, int]]:
    return find_listening([process.pid])


@contextmanager
def run_container(folder: Path, settings: Mapping[str, str]) -> Iterator[Container]:
    """Make the namespace. Raises NotPossible."""
    if os.geteuid():
        raise NotPossible("only root can make a mount namespace whose root is read-only")
    if missing := [name for name in ("unshare", "nsenter", "setpriv", "mount") if not shutil.which(name)]:
        raise NotPossible(f"{', '.join(missing)} is not installed")
    app = folder / "app"
    copy_application(app)
    words = {
        "place": PLACE,
        "app": app,
        "python": sys.base_prefix,
        "packages": sysconfig.get_path("purelib"),
        "name": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    holder = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", SET_UP.format(**words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        assert holder.stdout is not None
        if (said := holder.stdout.readline()) != "ready\n":
            raise NotPossible(f"the kernel refuses a mount namespace: {said.strip()}")
        yield Container(holder.pid, image_environment() | dict(settings))
    finally:
        holder.kill()
        holder.communicate()


def image_environment() -> dict[str, str]:
    """As the Dockerfile has it, with the places of this namespace."""
    return {
        "PATH": f"{PLACE}/bin:/usr/bin:/bin",
        "PYTHONPATH": f"{PLACE}/app:{PLACE}/packages",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": f"{PLACE}/python/lib",
        "HOME": f"{PLACE}/app",
    }


def copy_application(app: Path) -> None:
    """What the Dockerfile's COPY takes: the names that .dockerignore lets through."""
    app.mkdir()
    for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").split():
        source = ROOT / line.removeprefix("!/")
        if not line.startswith("!/") or not source.exists():
            continue
        if source.is_dir():
            shutil.copytree(source, app / source.name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, app)
    for path in (app, *app.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
