"""The composition root of the metrics: what each process counts, where it keeps that, and who may ask for it."""

import os
import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
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
    """Remove what the ended processes of this host said of themselves; what they counted stays."""
    for file in folder.glob("gauge_live*.db"):
        named = LIVE_FILE.fullmatch(file.name)
        if named and named[2] == _name_host() and not _is_alive(int(named[1])):
            file.unlink(missing_ok=True)


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
        child_init.connect(lambda **_: forget_dead(folder), weak=False, dispatch_uid="acuse.forget_dead")
        child_shutdown.connect(lambda **_: forget_this_process(folder), weak=False, dispatch_uid="acuse.forget_child")


def _watch_beat(sent: Any, **_: Any) -> None:
    sent.connect(BeatMetrics(CollectorRegistry()).note_sent, weak=False, dispatch_uid="acuse.beat_sent")


def _name_process() -> str:
    """Of all processes that share the folder: those of two containers may have the same number."""
    return f"{os.getpid()}-{_name_host()}"


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
