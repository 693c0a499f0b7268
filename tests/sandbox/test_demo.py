"""A whole stack, played through the sandbox: the demo."""

import os
import subprocess
import sys
from pathlib import Path

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
