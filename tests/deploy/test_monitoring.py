"""The alerts and the board ask for what Acuse exports, and for values that its labels can have."""

import json
import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

import cli
from ingress.answers import Refused
from models.canaries import LANES, LONGER, SENT_TO, STALE_SECONDS, WATCHED, patience_for_lane
from models.states import DeliveryStatus, InboxStatus, Outcome
from schedules.beat import CANARY_ENTRY, JOBS, TIMETABLE
from tests.deploy.names import asked_by, exported
from workers.call_metrics import OUTCOMES as CALL_OUTCOMES

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
BOARD = json.loads((DEPLOY / "grafana/acuse.json").read_text())
EXPRESSIONS = {rule["alert"]: rule["expr"] for rule in RULES} | {
    f"panel {panel['title']} {target['refId']}": target["expr"]
    for panel in BOARD["panels"]
    for target in panel["targets"]
}
VALUES = {
    "answer": {"stored", "duplicate", "conflict", *(why.name.lower() for why in Refused)},
    "queue": set(WATCHED),
    "lane": set(SENT_TO),
    "status": {status.value for status in InboxStatus},
    "result": {"rung", "failed", "skipped"},
    "entry": set(JOBS),
}
OUTCOMES = {
    "acuse_decisions_total": {outcome.value for outcome in Outcome},
    "acuse_notification_attempts_total": {status.value for status in DeliveryStatus},
    "acuse_psp_calls_total": set(CALL_OUTCOMES),
}
GROUPED = re.compile(r"\bby \(([^)]*)\)")
COMMAND = re.compile(r"`acuse ([a-z ]+)")


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_an_expression_asks_for_what_is_exported(name: str) -> None:
    known, asked = exported(), asked_by(EXPRESSIONS[name])
    assert asked
    for one in asked:
        assert one.series in known
        for label, value in one.labels:
            assert label in known[one.series]
            assert set(value.split("|")) <= (OUTCOMES[one.series] if label == "outcome" else VALUES[label])
    grouped = {label.strip() for labels in GROUPED.findall(EXPRESSIONS[name]) for label in labels.split(",")} - {"le"}
    assert all(grouped <= known[one.series] for one in asked)


def test_an_expression_with_an_unknown_name_or_value_would_be_found() -> None:
    [asked] = asked_by('sum(rate(acuse_delivery_total{answer="stored"}[5m]))')
    assert asked.series not in exported()
    assert asked.labels == (("answer", "stored"),)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["annotations"]["summary"]
    assert rule["annotations"]["description"]
    for path in COMMAND.findall(rule["annotations"]["description"]):
        command: click.Command | None = cli.main
        for word in path.split():
            assert isinstance(command, click.Group)
            command = command.get_command(click.Context(command), word)
            assert command is not None, path
    for document in re.findall(r"docs/[a-z]+\.md", rule["annotations"]["description"]):
        assert (DEPLOY.parent / document).exists()


def test_every_queue_has_an_alert_for_when_nobody_takes_from_it_and_none_before_that_is_a_fault() -> None:
    limits: dict[str, int] = {}
    for expression in (rule["expr"] for rule in RULES):
        for one in asked_by(expression):
            if one.series == "acuse_queue_untouched_seconds":
                limits |= dict.fromkeys(dict(one.labels)["queue"].split("|"), int(expression.rsplit("> ", 1)[1]))
    assert limits.keys() == set(WATCHED)
    assert all(limit > STALE_SECONDS + LONGER.get(queue, 0) for queue, limit in limits.items())
    [expression] = [rule["expr"] for rule in RULES if "acuse_lane_untouched_seconds" in rule["expr"]]
    assert all(float(expression.rsplit("> ", 1)[1]) > patience_for_lane(queue) for queue in LANES)


def test_panels_do_not_lie_on_each_other_and_have_names_of_their_own() -> None:
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in BOARD["panels"]]
    titles = [panel["title"] for panel in BOARD["panels"]]
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert all(len(set(kind)) == len(kind) for kind in (places, titles, ids))


def test_every_entry_of_the_timetable_is_missed_by_an_alert_when_it_does_not_run() -> None:
    [rule] = [rule for rule in RULES if rule["alert"] == "AcuseBeatIsSilent"]
    watched = {
        entry
        for one in asked_by(rule["expr"])
        for label, value in one.labels
        if label == "entry"
        for entry in value.split("|")
    }
    assert watched == set(JOBS)
    elsewhere = {entry for entry in TIMETABLE if entry.startswith(CANARY_ENTRY)} | {"advance_replays"}
    assert set(TIMETABLE) == watched | elsewhere, (
        "canaries have an alert by queue; replays that stand still are on their page"
    )


def test_every_series_is_on_the_board_or_in_an_alert() -> None:
    shown = {one.series for expression in EXPRESSIONS.values() for one in asked_by(expression)}
    left = {re.sub("_(total|bucket|sum|count)$", "", name) for name in exported()} - {
        re.sub("_(total|bucket|sum|count)$", "", name) for name in shown
    }
    assert left == {"acuse_events_finished", "acuse_inbox_oldest_seconds", "acuse_queue_waiting"}
