"""What `make setup` installs: the command, from any folder, and nobody else's modules in the place of ours."""

import configparser
import os
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("acuse")


def test_the_command_runs_from_any_folder(tmp_path: Path) -> None:
    if not COMMAND.exists():
        pytest.skip(f"there is no {COMMAND}: `make setup` installs it")
    shown = subprocess.run(
        [COMMAND, "payload-keys", "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, "rotate" in shown.stdout) == (0, True), shown.stderr


def test_no_installed_package_has_a_module_of_a_name_of_ours() -> None:
    """Where one has, it stands before ours for a command that is not run from this folder."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    ours = set(setup["options"]["py_modules"].split())
    ours |= {path.parent.name for path in ROOT.glob("*/__init__.py")}
    theirs = {name for name, whose in packages_distributions().items() if set(whose) != {"acuse"}}
    assert {"cli", "models", "ingress"} <= ours
    assert ours & theirs == set()
