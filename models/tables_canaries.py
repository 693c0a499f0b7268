"""The tables of the watchdog: which queues workers take from, and what beat has sent."""

from datetime import datetime

from sqlalchemy import PrimaryKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from models.table_base import Table


class WorkerCanary(Table):
    """The last message that a worker took from a queue, a canary or any other."""

    __tablename__ = "worker_canaries"

    worker: Mapped[str]  # its name in Celery, such as worker@host
    queue: Mapped[str]
    host: Mapped[str]
    pid: Mapped[int]  # of its main process
    taken_at: Mapped[datetime]

    __table_args__ = (PrimaryKeyConstraint("worker", "queue", name="pk_worker_canaries"),)


class BeatEntry(Table):
    """An entry of the timetable: when it was sent last, and by which beat."""

    __tablename__ = "beat_entries"

    entry: Mapped[str] = mapped_column(primary_key=True)
    every_seconds: Mapped[int]
    host: Mapped[str]
    pid: Mapped[int]
    sent_at: Mapped[datetime]
