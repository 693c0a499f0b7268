"""Workers and beat refuse a database that is not theirs, in one line."""

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from embedded import RunningEngine
from tests.ingress.senders import environment

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_a_schema_that_is_behind_ends_the_start(
    engine: Engine, redis_server: RunningEngine, role: str, tmp_path: Path
) -> None:
    with engine.begin() as connection:
        connection.execute(text("update alembic_version set version_num = '0000'"))
    settings = environment(engine.url.render_as_string(hide_password=False), redis_server.url)
    schedule = ["-s", str(tmp_path / "schedule")] if role == "beat" else ["-c", "1"]
    command = [sys.executable, "-m", "celery", "-q", "-A", "workers.app:celery", role, "-l", "ERROR", *schedule]
    ended = subprocess.run(
        command,
        env=settings,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "acuse: the schema stands at 0000" in ended.stderr
    assert "acuse migrate" in ended.stderr
