"""`make sbom` lists every locked package of the image with its version, in a form that others read."""

import configparser
import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
LOCKED = re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", (ROOT / "requirements-image.lock").read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    """Without the check against CycloneDX's schema, which `make sbom` makes every time."""
    words = ["make", "--silent", "sbom", "SBOM_FLAGS=--no-validate"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "build/acuse.cdx.json"
    said: dict[str, Any] = json.loads((ROOT / "build" / "acuse.cdx.json").read_text(encoding="utf-8"))
    return said


def test_it_lists_every_locked_package_with_its_version(bill: dict[str, Any]) -> None:
    assert len(LOCKED) > 50
    assert sorted((one["name"], one["version"]) for one in bill["components"]) == sorted(LOCKED)
    for one in bill["components"]:
        assert one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}"
        [where] = one["externalReferences"]
        assert where["hashes"] and all(len(one["content"]) == 64 for one in where["hashes"])


def test_it_says_what_it_is_about(bill: dict[str, Any]) -> None:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "setup.cfg")
    named = tomllib.loads((ROOT / "deploy" / "sbom.toml").read_text(encoding="utf-8"))["project"]
    assert named == {key: metadata["metadata"][key] for key in ("name", "version")}
    assert bill["bomFormat"] == "CycloneDX"
    assert {key: bill["metadata"]["component"][key] for key in named} == named


def test_it_is_the_same_the_next_time(bill: dict[str, Any]) -> None:
    assert not {"timestamp", "serialNumber"} & {*bill, *bill["metadata"]}
