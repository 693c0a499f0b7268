"""Tests of the repository that are the substance of a scenario, run as a process of their own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import parse

from tests.faults.house import ROOT
from tests.faults.oracle import Verdict
from tests.faults.scene import Scene

LONGEST_SECONDS = 600.0


def run_suite(scene: Scene, name: str, tests: Sequence[str], seconds: float = LONGEST_SECONDS) -> Verdict:
    """The verdict of these tests: what passed counts as sent, what failed is blamed by its name. Where the scene's
    build is broken they run on that build, and the first that fails ends them."""
    scene.folder.mkdir(parents=True, exist_ok=True)
    report = scene.folder / f"{name}.xml"
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
    argv += ["-p", "tests.faults.plugin", *(part for build in scene.broken for part in ("--broken-build", build))]
    argv += ["-x"] if scene.broken else []
    with (scene.folder / f"{name}.log").open("w") as log:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("ACUSE_", "PYTEST_"))}
        subprocess.run([*argv, *tests], cwd=ROOT, env=environment, stdout=log, stderr=log, timeout=seconds, check=False)
    return read_report(report, name)


def read_report(report: Path, name: str) -> Verdict:
    """What pytest wrote of a run. Raises AssertionError for a run that did not come to an end, or to a test."""
    verdict = Verdict()
    assert report.exists(), f"the tests of {name} did not come to an end"
    cases = list(parse(report).iter("testcase"))
    errors = [case.get("name") for case in cases if case.find("error") is not None]
    assert cases and not errors, f"the tests of {name} could not be run: {errors[:3]}"
    failed = [case for case in cases if case.find("failure") is not None]
    skipped = sum(case.find("skipped") is not None for case in cases)
    verdict.sent = len(cases) - len(failed) - skipped
    verdict.faults = f"{verdict.sent} cases of {name}"
    verdict.blame(f"suite {name}", [f"{case.get('classname')}::{case.get('name')}" for case in failed])
    return verdict


def join(*verdicts: Verdict) -> Verdict:
    """One verdict of several."""
    whole = Verdict(faults="; ".join(verdict.faults for verdict in verdicts if verdict.faults))
    for verdict in verdicts:
        whole.sent += verdict.sent
        whole.lost += verdict.lost
        whole.doubled += verdict.doubled
        whole.recovery = max(whole.recovery, verdict.recovery)
        whole.violations += verdict.violations
    return whole
