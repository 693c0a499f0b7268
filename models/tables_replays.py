"""The tables of runs that set events going again, and of what each of their steps set going."""

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Identity, Index, PrimaryKeyConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from models.states import ReplayState
from models.table_base import Table, one_of


class ReplayRun(Table):
    """Which events are to go again, who wants it and why, and how far it has come. Who, why and which never change: a trigger
    sees to it."""

    __tablename__ = "replay_runs"

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    wanted: Mapped[dict[str, Any]]  # a ReplayFilter as JSON
    author: Mapped[str]  # an operator's address, or who ran the command and where
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(server_default=ReplayState.RUNNING)
    rate: Mapped[int]  # events a second
    most: Mapped[int | None]  # events in all; None: every one that fits
    accepts_recorded: Mapped[bool] = mapped_column(server_default=text("false"))
    until_at: Mapped[datetime]  # what came later is not meant
    after_at: Mapped[datetime]  # all that was received up to here, and has this id at most, has been looked at
    after_id: Mapped[int] = mapped_column(server_default="0")
    replayed: Mapped[int] = mapped_column(server_default="0")
    same_again: Mapped[int] = mapped_column(server_default="0")  # left: they would end as they did
    refused: Mapped[int] = mapped_column(server_default="0")  # left: their signature fits no key any more
    forgotten: Mapped[int] = mapped_column(server_default="0")  # left: retention dropped their payload
    created_at: Mapped[datetime]
    spent_until: Mapped[datetime]  # up to when the rate has been used
    held_back_at: Mapped[datetime | None]  # it was live events' turn at the last step
    ended_at: Mapped[datetime | None]
    failures: Mapped[int] = mapped_column(server_default="0")  # steps in a row, up to the last one
    failing_with: Mapped[str | None]  # the kind of the last one's error: its text may hold data

    __table_args__ = (
        one_of("state", ReplayState),
        CheckConstraint("reason <> ''", name="reason"),
        CheckConstraint("author <> ''", name="author"),
        CheckConstraint("rate between 1 and 1000", name="rate"),
        CheckConstraint("most > 0", name="most"),
        CheckConstraint("(state in ('stopped', 'done')) = (ended_at is not null)", name="end_is_dated"),
        Index("ix_replay_runs_running", "id", postgresql_where=text("state = 'running'")),
    )


class ReplayBatch(Table):
    """The events that one step of a run set going, written in its transaction. Append-only: a trigger refuses everything else."""

    __tablename__ = "replay_batches"

    run_id: Mapped[int] = mapped_column(ForeignKey("replay_runs.id", name="fk_replay_batches_run_id"))
    number: Mapped[int]  # how many the run had set going with them
    event_ids: Mapped[dict[str, Any]]  # a list of them
    done_at: Mapped[datetime]

    __table_args__ = (PrimaryKeyConstraint("run_id", "number", name="pk_replay_batches"),)
