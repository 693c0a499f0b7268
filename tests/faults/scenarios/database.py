"""Postgres: killed with everything that belongs to it, stopped at once, robbed of its connections, out of disk."""

import os
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psycopg2
from redis import Redis
from redis.exceptions import ResponseError

from engines.cluster import cluster_name
from tests.faults.engines import open_engines
from tests.faults.flood import start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.scene import Scene, scenario

SMALL_DISK = "size=400m"
BALLAST = "ballast"


def kill_postgres(house: House, chance: random.Random) -> str:
    """Every process of it, as when the power goes."""
    pids = postgres_processes(house)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    house.engines.postgres.kill()
    time.sleep(2.0)
    house.engines.start_postgres_again()
    return landed(len(pids), f"{len(pids)} processes killed")


def stop_at_once(house: House, chance: random.Random) -> str:
    """Immediate shutdown: no checkpoint, recovery from the log."""
    postgres = house.engines.postgres
    postgres.process.send_signal(signal.SIGQUIT)
    postgres.process.wait(20)
    postgres.kill()
    house.engines.start_postgres_again()
    return "stopped at once"


def terminate_backends(house: House, chance: random.Random) -> str:
    ended = 0
    for _ in range(6):
        rows = house.query(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )
        ended += sum(done for (done,) in rows)
        time.sleep(chance.uniform(0.2, 0.6))
    return landed(ended, f"{ended} backends terminated")


def stop_a_lock_holder(house: House, chance: random.Random) -> str:
    """A session that holds all payments, so that none is made or moved, and goes no further."""
    holder = psycopg2.connect(house.engines.url_of(house.database))
    with holder.cursor() as cursor:
        cursor.execute("lock table payments in share mode")
        cursor.execute("select pg_backend_pid()")
        pid = cursor.fetchone()[0]
    server = real_pid(house, pid)
    os.kill(server, signal.SIGSTOP)
    time.sleep(5)
    waiting = house.query("select count(*) from pg_locks where not granted")[0][0]
    os.kill(server, signal.SIGCONT)
    holder.close()
    return landed(waiting, f"{waiting} waited for a lock holder that stood still")


def postgres_processes(house: House) -> list[int]:
    """By the title that every process of our cluster has."""
    title = f"postgres: {cluster_name(house.engines.postgres.folder)}:".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if (entry / "cmdline").read_bytes().startswith(title):
                    found.append(int(entry.name))
    return found


def real_pid(house: House, pid: int) -> int:
    """A backend's number as the kernel has it here; no namespace of process numbers lies between."""
    assert pid in postgres_processes(house)
    return pid


FAULTS = {
    "kill -9": kill_postgres,
    "immediate stop": stop_at_once,
    "terminate": terminate_backends,
    "lock holder": stop_a_lock_holder,
}


@scenario(
    5,
    "Postgres is killed whole, stopped at once, loses its backends, has a stopped lock holder",
    broken="asynchronous_commit",
)
def lose_the_database(scene: Scene) -> Verdict:
    """No 2xx without a row that survives; 503 meanwhile; recovery by itself."""
    others = ("worker", "beat")  # whose commits would write down the receiver's too
    with scene.house("receiver", *(() if scene.broken else others)) as house:
        told, floods = [], []
        if scene.broken:  # the log that nobody waits for is written late, as on a busy disk
            scene.engines.administer("alter system set wal_writer_delay = '10s'", "select pg_reload_conf()")
        chosen = {name: FAULTS[name] for name in list(FAULTS)[: 1 if scene.broken else None]}
        try:
            for place, (name, fault) in enumerate(chosen.items()):
                more = ("--shuffle", "--delay", "3")
                events = scene.events(1200 if scene.broken else 350)
                flood = start_flood(house, name.replace(" ", ""), events, scene.seed + place, *more)
                flood.wait_for(60)
                house.note(name)
                told.append(fault(house, scene.chance))
                house.note(told[-1])
                floods.append(flood.finish())
            house.start(*(others if scene.broken else ()))
        finally:
            scene.engines.administer("alter system reset wal_writer_delay", "select pg_reload_conf()")
        return judge(house, *floods, faults="; ".join(told), within=scene.patience)


def cannot_mount() -> str | None:
    """Why a small file system cannot be made here, or None."""
    if os.geteuid() != 0:
        return "a small file system takes root"
    folder = Path(tempfile.mkdtemp(prefix="acuse-mount-"))
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode == 0:
        subprocess.run(["umount", str(folder)], check=False)
    folder.rmdir()
    return None if done.returncode == 0 else f"a small file system cannot be mounted here: {done.stderr.strip()}"


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own that is soon full."""
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"{SMALL_DISK},mode=700", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


@scenario(
    6,
    "the disk is full: Postgres cannot write its log, Redis cannot write its file",
    broken="answer_before_commit",
    needs=cannot_mount,
)
def fill_the_disk(scene: Scene) -> Verdict:
    """Nothing is acknowledged that is not written; when there is room again all goes on."""
    with small_disk(scene.folder / "disk") as disk, open_engines(disk) as engines:
        (disk / "redis-file").mkdir()
        with Redis.from_url(engines.redis.url) as redis:
            redis.config_set("dir", str(disk / "redis-file"))
            redis.config_set("appendonly", "yes")
        small = replace(scene, engines=engines, folder=scene.folder / "house")
        with small.house("receiver", "worker", "beat") as house:
            flood = start_flood(house, "flood", scene.events(900), scene.seed, "--shuffle", "--delay", "8")
            flood.wait_for(60)
            fill(disk)
            house.note("full")
            time.sleep(6)
            room, is_refusing = shutil.disk_usage(disk).free, refuses_to_write(engines.redis.url)
            (disk / BALLAST).unlink()
            house.note("room again")
            if not engines.postgres.is_ready():
                engines.postgres.kill()
                engines.start_postgres_again()
                house.note("postgres started again")
            flood.finish()
            refused = sum(a["status"] == 503 for a in flood.attempts)
            told = f"{room} bytes were free, {refused} x 503, Redis could not write its file"
            landed(is_refusing and (refused or scene.broken), told)
            return judge(house, flood, faults=told, within=scene.patience)


def refuses_to_write(url: str) -> bool:
    """Whether Redis says that its file cannot be written."""
    try:
        with Redis.from_url(url, socket_timeout=2) as redis:
            redis.set("probe", "x" * 100_000)
            return str(redis.info("persistence")["aof_last_write_status"]) != "ok"
    except ResponseError as error:
        return str(error).startswith("MISCONF")


def fill(disk: Path) -> None:
    """Take all room there is, and go on taking what is freed for a while."""
    with (disk / BALLAST).open("ab", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(b"\0" * 1_048_576)

    def go_on() -> None:
        ends = time.monotonic() + 5
        while time.monotonic() < ends and (disk / BALLAST).exists():
            with suppress(OSError), (disk / BALLAST).open("ab", buffering=0) as ballast:
                ballast.write(b"\0" * 65_536)
            time.sleep(0.02)

    threading.Thread(target=go_on, daemon=True).start()
