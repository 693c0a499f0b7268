"""Workers and beat serve what they count where they are asked to, and what a dead process said of itself is forgotten."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import Engine

from bootstrap_metrics import FORGOTTEN_SECONDS, forget_dead
from config import ConfigError, load_config
from embedded import RunningEngine, free_port
from tests.ingress.senders import environment

ROOT = Path(__file__).parents[2]


def scrape(port: int) -> str:
    with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return answer.read().decode()
    return ""


def wait_for(holds: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 90
    while not holds():
        assert process.poll() is None, "it ended"
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def celery(settings: dict[str, str], port: int, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "celery", "-q", "-A", "workers.app:celery", *arguments, "-l", "ERROR"]
    settings = settings | {"ACUSE_METRICS_LISTEN": f"127.0.0.1:{port}"}
    process = subprocess.Popen(command, env=settings, cwd=ROOT, start_new_session=True)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture
def settings(engine: Engine, redis_server: RunningEngine, tmp_path: Path) -> dict[str, str]:
    url = engine.url.render_as_string(hide_password=False)
    return environment(url, redis_server.url) | {"ACUSE_METRICS_DIR": str(tmp_path / "metrics")}


def test_a_worker_serves_what_its_children_count_and_beat_what_it_sent(
    settings: dict[str, str], tmp_path: Path
) -> None:
    worker_port, beat_port = free_port(), free_port()
    pools = 'acuse_db_pool_size{role="worker"} '
    with (
        celery(settings, worker_port, "worker", "-Q", "maintenance", "-c", "1") as worker,
        celery(settings, beat_port, "beat", "-s", str(tmp_path / "schedule")) as beat,
    ):
        wait_for(lambda: pools + "2.0" in scrape(worker_port), worker)
        wait_for(lambda: 'acuse_beat_sent_timestamp_seconds{entry="sweep"}' in scrape(beat_port), beat)
        wait_for(lambda: 'acuse_db_pool_busiest_ratio{role="worker"}' in scrape(worker_port), worker)
        [child] = {int(found) for found in re.findall(r"gauge_livesum_(\d+)-", str(list(live(tmp_path))))}
        os.kill(child, signal.SIGKILL)
        # The next child forgets it; were it counted still, there would be four connections.
        wait_for(lambda: live(tmp_path) != [] and f"_{child}-" not in str(live(tmp_path)), worker)
        wait_for(lambda: pools + "2.0" in scrape(worker_port), worker)


def live(folder: Path) -> list[Path]:
    return list((folder / "metrics").glob("gauge_livesum_*"))


def test_a_taken_address_ends_the_start_in_one_line(settings: dict[str, str], tmp_path: Path) -> None:
    port = free_port()
    with celery(settings, port, "beat", "-s", str(tmp_path / "schedule")) as beat:
        wait_for(lambda: "acuse_beat_sent" in scrape(port), beat)
        command = [sys.executable, "-m", "ingress.serve", "--port", str(free_port()), "--only", "receiver"]
        taken = settings | {"ACUSE_METRICS_LISTEN": f"127.0.0.1:{port}"}
        ended = subprocess.run(command, env=taken, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)
    assert ended.returncode == 1
    assert ended.stderr.splitlines() == [f"acuse: cannot serve metrics on 127.0.0.1:{port}: Address already in use"]


def test_only_the_dead_of_this_host_are_forgotten(tmp_path: Path) -> None:
    host = name_host()
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, lives = tmp_path / f"gauge_livesum_{ended.pid}-{host}.db", tmp_path / f"gauge_livesum_{os.getpid()}-{host}.db"
    elsewhere, counted = (
        tmp_path / f"gauge_livemax_{ended.pid}-elsewhere.db",
        tmp_path / f"counter_{ended.pid}-{host}.db",
    )
    for file in (dead, lives, elsewhere, counted):
        file.touch()
    forget_dead(tmp_path)
    assert set(tmp_path.iterdir()) == {lives, elsewhere, counted}


def name_host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())


def test_what_nobody_touches_is_of_a_container_that_is_gone_and_who_lives_touches(tmp_path: Path) -> None:
    gone, elsewhere = tmp_path / "gauge_livesum_1-gone.db", tmp_path / "gauge_livesum_1-elsewhere.db"
    ours, counted = tmp_path / f"gauge_livemax_{os.getpid()}-{name_host()}.db", tmp_path / "counter_1-gone.db"
    long_ago = time.time() - FORGOTTEN_SECONDS - 1
    for file in (gone, elsewhere, ours, counted):
        file.touch()
    for file in (gone, ours, counted):
        os.utime(file, (long_ago, long_ago))
    forget_dead(tmp_path)
    assert set(tmp_path.iterdir()) == {elsewhere, ours, counted}
    assert ours.stat().st_mtime > long_ago + FORGOTTEN_SECONDS


def test_a_process_is_tended_while_it_lives_and_forgotten_when_it_ends(tmp_path: Path) -> None:
    own = f"gauge_livesum_{{pid}}-{name_host()}.db"
    program = f"""
import os, sys, time
from pathlib import Path
from bootstrap_metrics import tend
file = Path(sys.argv[1]) / {own!r}.format(pid=os.getpid())
file.touch()
tend(file.parent, 0.05)
for _ in range(3):
    os.utime(file, (0, 0))
    while file.stat().st_mtime == 0:
        time.sleep(0.01)
print("tended", file.exists())
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "tended True\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["9100", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:99999", "a b:80", "http://x:80"])
def test_an_address_that_is_none_is_named(settings: dict[str, str], value: str) -> None:
    with pytest.raises(ConfigError, match="ACUSE_METRICS_LISTEN must be a host and a port"):
        load_config(settings | {"ACUSE_METRICS_LISTEN": value})


def test_to_serve_metrics_a_process_needs_the_folder_of_its_children(settings: dict[str, str]) -> None:
    assert load_config(settings | {"ACUSE_METRICS_LISTEN": "[::1]:9100"}).metrics_listen == ("::1", 9100)
    del settings["ACUSE_METRICS_DIR"]
    with pytest.raises(ConfigError, match="ACUSE_METRICS_DIR"):
        load_config(settings | {"ACUSE_METRICS_LISTEN": "127.0.0.1:9100"})
