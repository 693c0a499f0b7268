"""The Dockerfile is what its linter wants, and builds an image that runs as nobody on a root that is read-only."""

import configparser
import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.security.container import copy_application

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
PACKAGES, APPLICATION, IMAGE = re.split(r"^FROM .*$", DOCKERFILE, flags=re.MULTILINE)[1:]


def test_the_linter_of_dockerfiles_has_nothing_to_say() -> None:
    said = lint(ROOT / "Dockerfile")
    assert (said.returncode, said.stdout) == (0, "")


def test_the_linter_finds_what_is_wrong(tmp_path: Path) -> None:
    bad = tmp_path / "Dockerfile"
    bad.write_text("FROM python\nRUN cd /app\nUSER root\n")
    said = lint(bad)
    assert said.returncode == 1
    assert {"DL3003", "DL3006", "DL3002"} <= set(re.findall(r"DL\d{4}", said.stdout))


def lint(file: Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if not program:
        print("not run: there is no hadolint for this machine")
        pytest.skip("there is no hadolint for this machine")
    return subprocess.run([program, "--no-color", file], capture_output=True, text=True, timeout=60, check=False)


def test_it_is_made_in_stages_and_the_last_has_three_layers_of_its_own() -> None:
    assert re.findall(r"^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE, re.MULTILINE) == [
        ("python:3.12-slim", "packages"),
        ("python:3.12-slim", "application"),
        ("python:3.12-slim", ""),
    ]
    layers = re.findall(r"^(RUN|COPY|ADD)\b(?: (--from=\w+))?", IMAGE, re.MULTILINE)
    assert layers == [("RUN", ""), ("COPY", "--from=packages"), ("COPY", "--from=application")]


def test_what_runs_has_no_installer_and_what_was_installed_was_locked() -> None:
    assert "venv --without-pip /venv" in PACKAGES
    assert "--require-hashes" in PACKAGES and "--no-cache-dir" in PACKAGES
    assert not re.search(r"\bpip\b|apt-get|curl", IMAGE)


def test_traces_can_be_switched_on_in_it() -> None:
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(ROOT / "setup.cfg")
    needed = re.findall(r"^([a-z-]+)>=", metadata["options.extras_require"]["otel"], re.MULTILINE)
    locked = (ROOT / "requirements-image.lock").read_text(encoding="utf-8")
    assert len(needed) == 3
    assert [name for name in needed if f"\n{name}==" not in locked] == []
    [recipe] = re.findall(
        r"^\tuv pip compile .* -o requirements-image\.lock$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert " --extra otel " in recipe, "the next lock has them too"


def test_it_says_what_it_is_how_it_ends_and_where_it_may_write() -> None:
    for label in ("title", "description"):
        assert f'org.opencontainers.image.{label}="' in IMAGE
    assert re.findall(r"^(VOLUME|STOPSIGNAL|EXPOSE|USER) +(.+)$", IMAGE, re.MULTILINE) == [
        ("VOLUME", '["/tmp"]'),
        ("USER", "10001:10001"),
        ("EXPOSE", "8080 8081"),
        ("STOPSIGNAL", "SIGTERM"),
    ]
    assert len(re.findall(r"^HEALTHCHECK ", IMAGE, re.MULTILINE)) == 1


def test_all_of_the_application_is_compiled_before_nobody_can(tmp_path: Path) -> None:
    app = tmp_path / "app"
    copy_application(app)
    [words] = re.findall(r"^RUN python (-m compileall .+)$", APPLICATION, re.MULTILINE)
    done = subprocess.run([sys.executable, *words.split()], cwd=app, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    sources = list(app.rglob("*.py"))
    assert len(sources) > 200
    for source in sources:
        compiled = Path(importlib.util.cache_from_source(str(source)))
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0", (
            "by its content, which nobody changes: times are not looked at"
        )
