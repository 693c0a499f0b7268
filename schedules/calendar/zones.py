"""Whether the zone data in use know that Mexico's clocks no longer change.

zoneinfo takes a zone from the system first and from the `tzdata` package only if the system has none: an old system
silently wins over a new package, and adds an hour every summer. So it is asked what it says, zone by zone.
Source: the release notes of the zone data: 2022f ends summer time and moves Chihuahua; 2022g lets Ojinaga follow the USA
again and makes a zone of Ciudad Juárez.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from importlib.metadata import PackageNotFoundError, version
from zoneinfo import ZoneInfo

PACKAGE, OLDEST = "tzdata", (2022, 7)  # the package's number for 2022g
SUMMER, WINTER = datetime(2023, 7, 1, 12, tzinfo=UTC), datetime(2023, 1, 15, 12, tzinfo=UTC)
# What 2022g and newer say; hours from UTC. Older data differ in at least one, whatever their age.
KNOWN = (
    ("America/Mexico_City", SUMMER, -6),
    ("America/Mexico_City", WINTER, -6),
    ("America/Chihuahua", WINTER, -6),
    ("America/Chihuahua", SUMMER, -6),
    ("America/Ojinaga", SUMMER, -5),
    ("America/Ciudad_Juarez", WINTER, -7),
)
WHAT_TO_DO = (
    "Zone data of 2022g or newer are needed: update the system's tzdata, or set PYTHONTZPATH to nothing so that the "
    "installed package is used (pip install 'tzdata>=2022.7')"
)


class OldTimeZones(Exception):
    """The zone data in use are too old, or missing. The message says what was seen and what to do."""


def check_zones(load: Callable[[str], tzinfo] = ZoneInfo, find_version: Callable[[str], str] = version) -> None:
    """Raises OldTimeZones where the zone data in use, or the `tzdata` package behind them, are older than 2022g.

    `load` gives a zone by its name or raises LookupError (or ValueError for data that cannot be read); `find_version` gives
    the version of an installed package or raises PackageNotFoundError.
    """
    for name, at, hours in KNOWN:
        seen = _find_offset(load, name, at)
        if seen != timedelta(hours=hours):
            raise OldTimeZones(f"{name} at {at:%Y-%m-%d} is {_name_offset(seen)}, not UTC{hours:+}. {WHAT_TO_DO}")
    _check_package(find_version)


def _find_offset(load: Callable[[str], tzinfo], name: str, at: datetime) -> timedelta | None:
    try:
        return at.astimezone(load(name)).utcoffset()
    except (LookupError, ValueError, OSError):
        return None


def _name_offset(seen: timedelta | None) -> str:
    return "missing" if seen is None else f"UTC{seen / timedelta(hours=1):+g}"


def _check_package(find_version: Callable[[str], str]) -> None:
    try:
        installed = find_version(PACKAGE)
    except PackageNotFoundError:
        raise OldTimeZones(f"The package {PACKAGE} is not installed. {WHAT_TO_DO}") from None
    if tuple(int(part) for part in installed.split(".")[:2] if part.isdigit()) < OLDEST:
        raise OldTimeZones(f"The package {PACKAGE} is {installed}. {WHAT_TO_DO}")
