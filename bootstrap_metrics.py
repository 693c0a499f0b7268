"""The composition root of the metrics: what each process counts, where it keeps that, and who may ask for it."""

import atexit
import os
import re
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIServer

import prometheus_client.values
from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import Engine

from config import Config
from models.engine import Role
from models.pools import PoolUse, watch_pool
from schedules.beat import TIMETABLE
from schedules.metrics import ScheduleMetrics
from workers.call_metrics import CallMetrics
from workers.metrics import WorkerMetrics

LIVE_FILE = re.compile(r"gauge_live[a-z]*_(\d+)-(.+)\.db")
TEND_SECONDS = 60.0
FORGOTTEN_SECONDS = 600.0  # without a sign of life from another host


class CannotListen(Exception):
    """The metrics cannot be served at the address that was asked for. The message is one line that says why."""


class PoolMetrics:
    """How full the connection pools are, of all processes that live."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, mode: Any = "livesum") -> Gauge:
            return Gauge(f"acuse_db_pool_{name}", text, ["role"], multiprocess_mode=mode, registry=registry)

        self.size = gauge("size", "Connections that the pools of this role keep, over all processes")
        self.checked_out = gauge("checked_out", "Of these, those in use")
        self.overflow = gauge("overflow", "Connections open beyond the size of a pool")
        self.busiest = gauge("busiest_ratio", "How much of the fullest pool of one process is in use", "livemax")

    def watch(self, engine: Engine, role: Role) -> Engine:
        """The same engine, whose pool is watched."""
        size, checked_out = self.size.labels(role), self.checked_out.labels(role)
        overflow, busiest = self.overflow.labels(role), self.busiest.labels(role)

        known: dict[str, int] = {}

        def tell(use: PoolUse) -> None:
            checked_out.set(use.checked_out)
            busiest.set(use.checked_out / use.size)
            # These hardly ever change, and the receiver tells with every commit.
            for name, one, value in (("size", size, use.size), ("overflow", overflow, use.overflow)):
                if known.get(name) != value:
                    known[name] = value
                    one.set(value)

        return watch_pool(engine, tell)


class BeatMetrics:
    """When beat sent each task of its timetable."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sent = Gauge(
            "acuse_beat_sent_timestamp_seconds",
            "When beat sent the task of an entry of its timetable last",
            ["entry"],
            multiprocess_mode="max",
            registry=registry,
        )
        self._entries = {one["task"]: name for name, one in TIMETABLE.items()}

    def note_sent(self, sender: Any = None, **_: Any) -> None:
        """`sender` is the name of a task that the broker has taken."""
        if sender in self._entries:
            self.sent.labels(self._entries[sender]).set_to_current_time()


@dataclass(frozen=True, slots=True)
class ProcessMetrics:
    """All that one worker process counts. Made once in it: two of the same series would overwrite each other's file."""

    worker: WorkerMetrics
    calls: CallMetrics
    schedules: ScheduleMetrics
    pools: PoolMetrics

    @classmethod
    def build(cls, registry: CollectorRegistry | None = None) -> "ProcessMetrics":
        one = registry or CollectorRegistry()
        return cls(WorkerMetrics(one), CallMetrics(one), ScheduleMetrics(one), PoolMetrics(one))


def share_through(folder: Path) -> None:
    """Keep this process's metrics in files of `folder`, where one scrape sees all processes. Call it before any metric is made."""
    folder.mkdir(parents=True, exist_ok=True)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    prometheus_client.values.ValueClass = prometheus_client.values.MultiProcessValue(_name_process)  # type: ignore[no-untyped-call]
    forget_dead(folder)


def forget_dead(folder: Path) -> None:
    """Remove what ended processes said of themselves; what they counted stays. Those of this host are looked for, and the files
    of those that live are touched: so another host, such as a container that is gone, is known by files that nobody touches."""
    for file in folder.glob("gauge_live*.db"):
        named = LIVE_FILE.fullmatch(file.name)
        if named is None:
            continue
        with suppress(OSError):  # somebody else was faster
            is_ours = named[2] == _name_host()
            if is_ours and _is_alive(int(named[1])):
                os.utime(file)
            elif is_ours or time.time() - file.stat().st_mtime > FORGOTTEN_SECONDS:
                file.unlink()


def tend(folder: Path, every_seconds: float = TEND_SECONDS) -> None:
    """Do that for as long as this process lives, for it and for its children, in a thread; at its end its own goes too."""

    def tend_forever() -> None:
        while True:
            forget_dead(folder)
            time.sleep(every_seconds)

    Thread(target=tend_forever, name="metrics", daemon=True).start()
    atexit.register(forget_this_process, folder)


def forget_this_process(folder: Path) -> None:
    """The same for this process, which is about to end."""
    for file in folder.glob(f"gauge_live*_{_name_process()}.db"):
        file.unlink(missing_ok=True)


class MetricsServer:
    """Serves the numbers of all processes that share the folder, from a thread of this one."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._server: WSGIServer | None = None

    def start(self, **_: Any) -> None:
        """Does nothing where ACUSE_METRICS_LISTEN is not set. Raises CannotListen."""
        if self._config.metrics_listen is None or self._config.metrics_dir is None:
            return
        host, port = self._config.metrics_listen
        registry = CollectorRegistry()
        MultiProcessCollector(registry, str(self._config.metrics_dir))  # type: ignore[no-untyped-call]
        try:
            self._server, _thread = start_http_server(port, host, registry)
        except OSError as error:
            raise CannotListen(f"cannot serve metrics on {host}:{port}: {error.strerror or error}") from error

    def start_or_end(self, **_: Any) -> None:
        """As `start`, in a process that has nobody who would catch anything."""
        try:
            self.start()
        except CannotListen as error:
            raise SystemExit(f"acuse: {error}") from None

    def leave_to_parent(self, **_: Any) -> None:
        """In a child: a socket that it inherited would keep the port when the parent is gone."""
        if self._server:
            with suppress(OSError):
                self._server.socket.close()


def connect_signals(config: Config, init: Any, child_init: Any, child_shutdown: Any, beat_init: Any, sent: Any) -> None:
    """Have Celery's processes serve what they count, and forget what ended with a child."""
    server, folder = MetricsServer(config), config.metrics_dir
    init.connect(server.start_or_end, weak=False, dispatch_uid="acuse.metrics_of_worker")
    beat_init.connect(server.start_or_end, weak=False, dispatch_uid="acuse.metrics_of_beat")
    child_init.connect(server.leave_to_parent, weak=False, dispatch_uid="acuse.metrics_of_child")
    beat_init.connect(partial(_watch_beat, sent), weak=False, dispatch_uid="acuse.watch_beat")
    if folder:
        for starting in (init, beat_init):
            starting.connect(lambda **_: tend(folder), weak=False, dispatch_uid="acuse.tend_metrics")
        child_init.connect(lambda **_: forget_dead(folder), weak=False, dispatch_uid="acuse.forget_dead")
        child_shutdown.connect(lambda **_: forget_this_process(folder), weak=False, dispatch_uid="acuse.forget_child")


def _watch_beat(sent: Any, **_: Any) -> None:
    sent.connect(BeatMetrics(CollectorRegistry()).note_sent, weak=False, dispatch_uid="acuse.beat_sent")


def _name_process() -> str:
    """Of all processes that share the folder: those of two containers may have the same number."""
    return f"{os.getpid()}-{_name_host()}"


@cache  # every count asks for it
def _name_host() -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:64]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
