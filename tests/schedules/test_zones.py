"""Old zone data are found, whether they come from the system or from the package."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta, timezone, tzinfo
from importlib.metadata import PackageNotFoundError
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from schedules.calendar.zones import OldTimeZones, check_zones

ROOT = Path(__file__).parents[2]
# A real file that behaves as each of the zones did in older data; None where they had no such zone.
OLD_DATA = {
    "2022e, Mexico City with summer time": ("America/Mexico_City", "America/Chicago"),
    "2022e, Chihuahua on -7": ("America/Chihuahua", "America/Hermosillo"),
    "2022f, Ojinaga without summer time": ("America/Ojinaga", "America/Regina"),
    "2022f, no zone of Ciudad Juárez": ("America/Ciudad_Juarez", None),
}


def load_old(name: str, like: str | None) -> Callable[[str], tzinfo]:
    def load(wanted: str) -> tzinfo:
        if wanted == name and like is None:
            raise KeyError(wanted)
        return ZoneInfo(like if wanted == name else wanted)

    return load


def test_the_zone_data_of_this_machine_are_new_enough() -> None:
    check_zones()


@pytest.mark.parametrize(("name", "like"), OLD_DATA.values(), ids=OLD_DATA.keys())
def test_older_zone_data_are_refused_with_what_to_do(name: str, like: str | None) -> None:
    with pytest.raises(OldTimeZones, match=rf"{name}.*update the system's tzdata, or set PYTHONTZPATH"):
        check_zones(load_old(name, like))


def test_zone_data_that_cannot_be_read_are_refused() -> None:
    def load(name: str) -> tzinfo:
        raise ValueError("no TZif")

    with pytest.raises(OldTimeZones, match="missing"):
        check_zones(load)


def test_one_offset_for_all_is_no_zone_data() -> None:
    with pytest.raises(OldTimeZones):
        check_zones(lambda _: timezone(timedelta(hours=-6)))


@pytest.mark.parametrize("old", ["2022.6", "2022.5.1", "2021.10", "2022.1", "unknown", "2022"])
def test_an_older_package_is_refused(old: str) -> None:
    with pytest.raises(OldTimeZones, match=r"tzdata.*2022\.7"):
        check_zones(find_version=lambda _: old)


@pytest.mark.parametrize("new", ["2022.7", "2022.7.1", "2022.10", "2026.6", "2030.1"])
def test_a_newer_package_is_taken(new: str) -> None:
    check_zones(find_version=lambda _: new)


def test_a_missing_package_is_refused() -> None:
    def find_version(name: str) -> str:
        raise PackageNotFoundError(name)

    with pytest.raises(OldTimeZones, match="not installed"):
        check_zones(find_version=find_version)


def run_with_path(tzpath: str) -> subprocess.CompletedProcess[str]:
    code = "from schedules.calendar.zones import check_zones; check_zones()"
    environ = {**os.environ, "PYTHONTZPATH": tzpath}
    return subprocess.run(  # noqa: PLW1510 - the caller looks at the return code
        [sys.executable, "-c", code], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120
    )


def test_an_old_system_is_found_before_a_new_package_and_can_be_told_aside(tmp_path: Path) -> None:
    old = tmp_path / "America" / "Mexico_City"
    old.parent.mkdir()
    old.write_bytes(files("tzdata.zoneinfo.America").joinpath("Chicago").read_bytes())
    seen = run_with_path(str(tmp_path))
    assert seen.returncode == 1
    assert "OldTimeZones: America/Mexico_City at 2023-07-01 is UTC-5, not UTC-6" in seen.stderr
    assert run_with_path("").returncode == 0
