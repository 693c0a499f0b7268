"""The comparison of what was played with what is believed, and what a wrong command line gets."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from commands.sandbox import sandbox
from commands.sandbox_check import Difference, compare, read_expected
from commands.stack_payments import SeenPayment
from sandbox.keys import ensure_keys
from tests.sandbox.receiver import receiver

EXPECTED = {
    "psp": "stripe",
    "psp_payment_id": "pi_3a",
    "state": "refunded",
    "received_minor": 1_000,
    "refunded_minor": 1_000,
    "dropped": 0,
}


def believed(**changes) -> dict[tuple[str, str], SeenPayment]:
    fields = {
        "method": "card",
        "state": "refunded",
        "received_minor": 1_000,
        "refunded_minor": 1_000,
        "currency": "MXN",
    }
    return {("stripe", "pi_3a"): SeenPayment(**(fields | changes))}


def test_a_payment_as_expected_has_no_difference() -> None:
    assert compare([EXPECTED], believed()) == []


@pytest.mark.parametrize(("field", "value"), [("state", "completed"), ("received_minor", 999), ("refunded_minor", 0)])
def test_every_field_that_differs_is_named(field: str, value: str | int) -> None:
    assert compare([EXPECTED], believed(**{field: value})) == [
        Difference("stripe", "pi_3a", field, EXPECTED[field], value)
    ]


def test_a_missing_payment_is_a_difference() -> None:
    assert compare([EXPECTED], {}) == [Difference("stripe", "pi_3a", "state", "refunded", None)]


def test_payments_whose_events_were_dropped_are_counted_and_left_out(tmp_path: Path) -> None:
    file = tmp_path / "expected.jsonl"
    file.write_text("\n".join(json.dumps(EXPECTED | {"dropped": dropped}) for dropped in (0, 2)))
    assert read_expected(file) == ([EXPECTED], 1)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["send", "oxxo.lost"], 2, "no flow 'oxxo.lost'"),
        (["send", "spei.deposit", "--psp", "stripe"], 2, "no flow 'spei.deposit' for stripe"),
        (["send", "oxxo.paid"], 1, "no stack is running"),
        (["flood", "--psps", "paypal", "--target", "http://127.0.0.1:9", "--keys", "keys.json"], 2, "paypal"),
        (["flood", "--tamper", "1.5"], 2, "1.5"),
        (["flood", "--target", "http://127.0.0.1:9"], 2, "no sandbox keys"),
    ],
)
def test_a_wrong_command_line_gets_one_clear_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, says: str
) -> None:
    monkeypatch.delenv("ACUSE_DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text("{}")
    result = CliRunner().invoke(sandbox, [*arguments, "--data-dir", str(tmp_path)])
    assert result.exit_code == code
    assert says in result.output


def test_flows_are_listed_for_people_and_machines() -> None:
    people, machines = (CliRunner().invoke(sandbox, ["flows", *flags]) for flags in ([], ["--json"]))
    assert "cash.reversed" in people.output
    assert json.loads(machines.output)["cash.reversed"] == ["conekta"]


def test_a_flood_goes_to_any_receiver_with_keys_from_a_file(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    with receiver(lambda path, body, times: 503 if times == 0 else 200) as server:
        arguments = ["--target", server.url, "--keys", str(tmp_path / "keys.json"), "--count", "12", "--json"]
        result = CliRunner().invoke(sandbox, ["flood", *arguments])
    assert result.exit_code == 0, result.output
    report = json.loads(result.output)
    assert (report["acknowledged"], report["retries"], report["statuses"]) == (12, 12, {"200": 12, "503": 12})


def test_a_flood_that_nobody_acknowledges_fails(tmp_path: Path) -> None:
    ensure_keys(tmp_path)
    with receiver(lambda path, body, times: 500) as server:
        arguments = ["--target", server.url, "--keys", str(tmp_path / "keys.json"), "--count", "3", "--deadline", "0.5"]
        result = CliRunner().invoke(sandbox, ["flood", *arguments])
    assert result.exit_code == 1
    assert result.output.count("not acknowledged: ") == 3
