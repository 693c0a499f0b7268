"""A whole stack, played through the sandbox: the demo, and a flood with faults that ends where it must."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.demo import own_stack
from commands.sandbox import sandbox

ROOT = Path(__file__).resolve().parents[2]


def processes_that_name(folder: Path) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in command:
            found.append(command)
    return found


def test_the_demo_plays_on_a_stack_of_its_own_whatever_the_environment_says_and_leaves_nothing_behind(
    tmp_path: Path,
) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ACUSE_")}
    strays = {
        "ACUSE_DATABASE_URL": "postgresql://127.0.0.1:9/other",
        "ACUSE_STRIPE_LIVEMODE": "true",
        "ACUSE_PSPS": "stp",
    }
    finished = subprocess.run(
        [sys.executable, "-c", "from commands.demo import demo; demo()", "--data-dir", str(tmp_path / "none")],
        cwd=ROOT,
        env=environment | strays | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert finished.stdout.count("as it must be") == 6
    assert "payment_intent.succeeded came twice and was applied once" in finished.stdout
    assert "payment_intent.requires_action came last and was STALE" in finished.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_that_name(tmp_path) == []


def run(*arguments: str) -> Result:
    return CliRunner().invoke(sandbox, arguments)


def test_a_flood_with_every_fault_ends_as_expected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("ACUSE_")]:
        monkeypatch.delenv(name)
    expected, ack_log = tmp_path / "expected.jsonl", tmp_path / "acks.jsonl"
    with own_stack() as data_dir:
        faults = ("--duplicates", "0.2", "--shuffle", "--delay", "0.5", "--tamper", "0.05", "--seed", "7")
        files = ("--expected", str(expected), "--ack-log", str(ack_log), "--data-dir", str(data_dir))
        flood = run("flood", "--count", "400", *faults, *files, "--json")
        assert flood.exit_code == 0, flood.output
        report = json.loads(flood.output)
        assert (report["events"], report["duplicates"], report["forged_refused"]) == (400, 80, 20)
        assert report["statuses"] == {"200": 480}
        check = run("check", "--expected", str(expected), "--data-dir", str(data_dir), "--wait", "60")
        assert check.exit_code == 0, check.output
        sent = run("send", "oxxo.paid_late", "--psp", "conekta", "--data-dir", str(data_dir))
        assert sent.exit_code == 0, sent.output
        assert "must become completed" in sent.output
        lines = [json.loads(line) for line in expected.read_text().splitlines()]
        wrong = {"pending": "failed"}
        expected.write_text("\n".join(json.dumps(one | {"state": wrong.get(one["state"], "pending")}) for one in lines))
        disagreeing = run("check", "--expected", str(expected), "--data-dir", str(data_dir), "--wait", "0", "--json")
        assert disagreeing.exit_code == 1
        assert len(json.loads(disagreeing.output)["differences"]) == len(lines)
