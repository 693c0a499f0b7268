"""The workflows are what GitHub reads, run only what exists, and may do no more than they must."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github" / "workflows"
FILES = sorted(FOLDER.glob("*.yml"))
TEXTS = {file.name: file.read_text(encoding="utf-8") for file in FILES}
WORKFLOWS: dict[str, dict[str, Any]] = {name: yaml.safe_load(text) for name, text in TEXTS.items()}
JOBS = {f"{file}:{name}": job for file, one in WORKFLOWS.items() for name, job in one["jobs"].items()}
STEPS = [step for job in JOBS.values() for step in job.get("steps", ())]
ZIZMOR = (
    "--offline",
    "--no-progress",
    "--quiet",
    "--format",
    "plain",
    "--config",
    str(ROOT / ".github" / "zizmor.yml"),
)


def run(module: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name(module)
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=180, check=False)


def test_they_have_the_form_that_github_reads_and_another_would_be_found(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(TEXTS["ci.yml"].replace("runs-on:", "run-on:"), encoding="utf-8")
    done = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", "-o", "JSON", *FILES, bad)
    said = json.loads(done.stdout)
    assert {one["filename"] for one in said["errors"]} == {str(bad)}
    assert said["parse_errors"] == []


def test_the_analysis_finds_nothing_that_is_not_secure() -> None:
    done = run("zizmor", *ZIZMOR, *FILES)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (("    permissions:\n      contents: read\n", "    permissions: write-all\n"), "excessive-permissions"),
        (("actions/setup-python@v6", "somebody/setup-python@v6"), "unpinned-uses"),
        (("run: make lint", 'run: echo "${{ github.head_ref }}"'), "template-injection"),
    ],
)
def test_the_analysis_finds_what_is_not(tmp_path: Path, spoil: tuple[str, str], found: str) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text(TEXTS["ci.yml"].replace(*spoil), encoding="utf-8")
    done = run("zizmor", *ZIZMOR, bad)
    assert done.returncode != 0 and found in done.stdout


def test_they_may_read_and_nothing_else_but_where_the_role_is_taken() -> None:
    for one in WORKFLOWS.values():
        assert one["permissions"] == {}
        assert one["concurrency"]["group"]
    more = {name for name, job in JOBS.items() if job["permissions"] != {"contents": "read"}}
    assert more == {"deploy.yml:production"}
    assert JOBS["deploy.yml:production"]["permissions"] == {"contents": "read", "id-token": "write"}


def test_production_is_protected_one_at_a_time_and_needs_no_key() -> None:
    job = JOBS["deploy.yml:production"]
    assert job["environment"] == "production"
    assert WORKFLOWS["deploy.yml"]["concurrency"] == {"group": "production", "cancel-in-progress": False}
    [login] = [step for step in STEPS if "configure-aws-credentials" in step.get("uses", "")]
    assert login["with"].keys() == {"role-to-assume", "aws-region"}
    assert not [name for name, text in TEXTS.items() if "secrets." in text]


def test_production_gets_what_was_checked_and_is_migrated_before_it_rolls() -> None:
    jobs = WORKFLOWS["deploy.yml"]["jobs"]
    assert jobs["checks"]["uses"] == "./.github/workflows/ci.yml"
    assert jobs["production"]["needs"] == "checks"
    assert "needs.checks.result == 'success'" in jobs["production"]["if"]
    steps = {step["name"]: step for step in jobs["production"]["steps"] if "name" in step}
    assert list(steps) == ["Build and push", "Migrate", "Roll"]
    assert "--only-release" in steps["Migrate"]["run"] and "--skip-release" in steps["Roll"]["run"]


def test_no_job_leaves_a_token_in_its_folder() -> None:
    taken = [step for step in STEPS if step.get("uses", "").startswith("actions/checkout@")]
    assert len(taken) == 4
    assert [step["with"]["persist-credentials"] for step in taken] == [False] * 4


def test_every_action_has_a_version_and_every_job_an_end() -> None:
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used and all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|[0-9a-f]{40})", one) for one in used)
    assert [name for name, job in JOBS.items() if "uses" not in job and "timeout-minutes" not in job] == []


def test_they_run_targets_and_programs_that_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    run_lines = [line for step in STEPS for line in step.get("run", "").splitlines()]
    made = {word for line in run_lines if line.startswith("make ") for word in shlex.split(line)[1:]}
    assert {"setup", "lint", "security", "test", "sbom"} <= made <= targets
    for path in re.findall(r"python3 (\S+\.py)", "\n".join(run_lines)):
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("script", [step["run"] for step in STEPS if "\n" in step.get("run", "")])
def test_a_shell_understands_every_script(script: str) -> None:
    assert subprocess.run(["bash", "-n", "-c", script], capture_output=True, check=False).returncode == 0


def test_the_image_is_run_as_nobody_on_a_root_that_is_read_only() -> None:
    [script] = [step["run"] for step in JOBS["ci.yml:image"]["steps"] if "read-only" in step.get("name", "")]
    for word in ("--read-only", "--tmpfs /tmp", "--cap-drop ALL", "no-new-privileges", "acuse migrate", "= 10001"):
        assert word in script


def test_the_tests_have_the_history_and_leave_their_pictures() -> None:
    steps = {step["uses"].partition("@")[0]: step["with"] for step in JOBS["ci.yml:test"]["steps"] if "uses" in step}
    assert steps["actions/checkout"]["fetch-depth"] == 0, "the former release is played from it"
    kept = steps["actions/upload-artifact"]
    assert (kept["path"], kept["name"]) == ("build/screenshots", "screenshots-${{ matrix.python }}")
