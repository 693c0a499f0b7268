"""What other commands know of a running stack: <data-dir>/stack.json, which is true while <data-dir>/lock is held."""

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from config import process_environment

STATE_FILE = "stack.json"
LOCK_FILE = "lock"
LOCK_TRIES = 5


class NoStack(Exception):
    """Nothing runs in the data folder. The message says what to do."""


class DataFolderTaken(Exception):
    """Another stack holds the data folder, or it cannot be used."""


@dataclass(slots=True)
class StackState:
    """One running stack. `environment` holds the ACUSE_* variables, with secrets; `processes` one entry per child."""

    pid: int
    version: str
    started_at: str
    data_dir: str
    urls: dict[str, str]
    engines: dict[str, dict[str, Any]] = field(default_factory=dict)
    processes: dict[str, dict[str, Any]] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)


@contextmanager
def hold_data_dir(data_dir: Path) -> Iterator[None]:
    """Make the folder and hold its lock. Raises DataFolderTaken; the lock ends with this process, however it ends."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(data_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise DataFolderTaken(f"the data folder {data_dir} cannot be used: {error.strerror}") from None
    with os.fdopen(lock, "r+") as file:
        _take(file, data_dir)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            (data_dir / STATE_FILE).unlink(missing_ok=True)


def _take(file: IO[str], data_dir: Path) -> None:
    for _ in range(LOCK_TRIES):  # who only asks whether the lock is held holds it for a moment
        with suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.1)
    holder = file.read() or "unknown"
    raise DataFolderTaken(
        f"the data folder {data_dir} is taken by a running stack (process {holder}): "
        "stop that one, or choose another with --data-dir"
    )


def _is_held(path: Path) -> bool:
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def write_json(path: Path, content: object) -> None:
    """Replace the file at once, readable by its owner alone."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
    fresh.replace(path)


def save_state(state: StackState) -> None:
    write_json(Path(state.data_dir) / STATE_FILE, asdict(state))


def load_state(data_dir: Path) -> StackState:
    """The stack that runs in `data_dir` now. Raises NoStack."""
    with suppress(OSError, ValueError):
        if _is_held(data_dir / LOCK_FILE):
            return StackState(**json.loads((data_dir / STATE_FILE).read_text(encoding="utf-8")))
    raise NoStack(f"no stack is running in {data_dir}: start one with `acuse up`")


def running_environment(data_dir: Path, is_given: bool = False) -> dict[str, str]:
    """The environment for a command that speaks to a stack: this process's own if it names a database, else the stack's.

    A data folder that `is_given`, and not merely the default, is meant: nothing else will do. Raises NoStack.
    """
    own = process_environment()
    if own.get("ACUSE_DATABASE_URL") and not is_given:
        return own
    try:
        return load_state(data_dir).environment
    except NoStack as error:
        raise error if is_given else NoStack(f"{error}, or set ACUSE_DATABASE_URL") from None
