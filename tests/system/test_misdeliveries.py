"""Webhooks that come twice, late, in any order and forged: a flood of them ends where it must, and the command tells where not."""

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.sandbox import sandbox
from tests.system.stack import RunningStack


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sandbox, arguments)


def test_a_flood_with_every_fault_ends_as_expected(
    plain_stack: RunningStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("ACUSE_")]:
        monkeypatch.delenv(name)
    data_dir = str(plain_stack.folder)
    expected, ack_log = tmp_path / "expected.jsonl", tmp_path / "acks.jsonl"
    faults = ("--duplicates", "0.2", "--shuffle", "--delay", "0.5", "--tamper", "0.05", "--seed", "7")
    files = ("--expected", str(expected), "--ack-log", str(ack_log), "--data-dir", data_dir)
    flood = run("flood", "--count", "400", *faults, *files, "--json")
    assert flood.exit_code == 0, flood.output
    report = json.loads(flood.output)
    assert (report["events"], report["duplicates"], report["forged_refused"]) == (400, 80, 20)
    assert report["statuses"] == {"200": 480}
    check = run("check", "--expected", str(expected), "--data-dir", data_dir, "--wait", "60")
    assert check.exit_code == 0, check.output
    sent = run("send", "oxxo.paid_late", "--psp", "conekta", "--data-dir", data_dir)
    assert sent.exit_code == 0, sent.output
    assert "must become completed" in sent.output
    lines = [json.loads(line) for line in expected.read_text().splitlines()]
    wrong = {"pending": "failed"}
    expected.write_text("\n".join(json.dumps(one | {"state": wrong.get(one["state"], "pending")}) for one in lines))
    disagreeing = run("check", "--expected", str(expected), "--data-dir", data_dir, "--wait", "0", "--json")
    assert disagreeing.exit_code == 1
    assert len(json.loads(disagreeing.output)["differences"]) == len(lines)
