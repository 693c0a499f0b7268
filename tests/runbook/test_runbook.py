"""Every command of docs/runbook.md is typed in during its incident, on one running stack, and prints what the page says."""

import os
import re
import shutil
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.runbook import incidents, more_incidents
from tests.runbook.page import FILE, Incident, Step, compare, fill_in, read_incidents
from tests.runbook.scene import LONGEST_SECONDS, PLAYS, Scene
from tests.system.stack import ROOT, run_stack

__all__ = ["incidents", "more_incidents"]

PAGE = FILE.read_text(encoding="utf-8")
INCIDENTS = read_incidents(PAGE)
PARTS = ("**Symptom.**", "**At stake.**", "**Over when**", "**Do not**")
MISSING = [name for name in ("bash", "curl") if not shutil.which(name)]
SETTINGS = {
    "ACUSE_LEASE_SECONDS": "5",
    "ACUSE_CALL_SECONDS": "2",
    "ACUSE_QUERY_AFTER_SECONDS": "2",
    "ACUSE_SANDBOX_PACE": "100",
    "ACUSE_UNMATCHED_WAIT_SECONDS": "1",
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("runbook")
    own = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    with run_stack(folder, environment=own | SETTINGS) as stack, Scene.open(stack, folder / "shell") as scene:
        yield scene


@pytest.mark.skipif(bool(MISSING), reason=f"{' and '.join(MISSING)} not installed: the commands cannot be typed in")
@pytest.mark.parametrize("incident", INCIDENTS, ids=[one.title for one in INCIDENTS])
def test_an_incident_goes_as_the_page_says(scene: Scene, incident: Incident) -> None:
    scene.known = {}
    with PLAYS[incident.title](scene) as stand_ins:
        assert {step.command for step in incident.steps if step.is_platform} == stand_ins.keys()
        for step in incident.steps:
            if step.is_platform:
                stand_ins[step.command]()
            else:
                take(scene, step)
    scene.wait_until_quiet()


def take(scene: Scene, step: Step) -> None:
    """Type in a command, and again where the page says so, until it prints what it should."""
    ends = time.monotonic() + LONGEST_SECONDS
    while True:
        command = fill_in(step.command, scene.known)
        printed, code = scene.type_in(command)
        words = compare(step, printed, code, scene.known)
        if words is not None:
            scene.known |= words
            return
        expected = "\n".join(step.expected)
        said = f"$ {command}\nprinted, with {code}:\n{printed}\nbut the page says, with {step.exit_code}:\n{expected}"
        assert step.is_repeated and time.monotonic() < ends, said


def test_every_incident_is_played_and_every_block_is_a_series_of_commands() -> None:
    assert [one.title for one in INCIDENTS] == sorted(PLAYS, key=lambda title: int(title.partition(".")[0]))
    for one in INCIDENTS:
        assert set(one.fences) <= {"console", "console platform"}, one.title
        assert one.text.count("```") == 2 * len(one.fences), one.title
        assert one.text.count("\n$ ") == len(one.steps), one.title
        assert all(part in one.text for part in PARTS), one.title
    assert PAGE.count("```") == sum(2 * len(one.fences) for one in INCIDENTS)


def test_the_commands_that_are_the_platforms_are_counted() -> None:
    [told] = re.findall(r"(\d+) commands\. The\s+test has stand-ins", PAGE)
    assert sum(step.is_platform for one in INCIDENTS for step in one.steps) == int(told)


def test_every_alert_has_its_incident() -> None:
    rules = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
    alerts = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    table = PAGE.partition("| alert |")[2].partition("\n\n")[0]
    assert sorted(re.findall(r"`(Acuse\w+)`", table)) == sorted(alerts)
    anchors = {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in PLAYS}
    assert set(re.findall(r"\(#([a-z0-9-]+)\)", PAGE)) <= anchors


def test_a_page_that_says_something_else_would_be_found() -> None:
    step = Step("acuse queues", ("queue  due", "events  N", "..."))
    assert compare(step, "queue due\nevents     3\n", 0, {}) == {}
    assert compare(step, "queue due\nevents     none\n", 0, {}) is None
    assert compare(step, "queue due\nevents     3\n", 1, {}) is None
    named = Step("acuse events list", ("<event>  stripe", "<event>  again"))
    assert compare(named, "17 stripe\n17 again\n", 0, {}) == {"event": "17"}
    assert compare(named, "17 stripe\n18 again\n", 0, {}) is None
    assert compare(named, "17 stripe\n17 again\n", 0, {"event": "18"}) is None
