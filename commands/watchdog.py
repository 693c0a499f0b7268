"""`acuse watchdog`: does every queue have somebody who takes from it? It also keeps a worker, and starts it again when it is deaf."""

import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import click

from bootstrap_ringing import build_send_canary
from bootstrap_starting import build_engine, utc_now
from commands.database import explain_database, show_json, stack_config
from commands.terms import data_dir_option, json_option
from commands.worker_keeper import Keeper
from commands.worker_watch import Seen, Watch
from config import Config, process_environment
from engines.launch import launch
from migrations.head import HEAD
from models.canaries import STALE_SECONDS, WATCHED, QueueWatch, watch_queues
from models.schema import check_schema
from models.unit_of_work import UnitOfWork
from supervisor import Command

LOOK_SECONDS, GRACE_SECONDS, MOST_RESTARTS = 10.0, 65.0, 3
# The processes of the Procfile.
WORKERS = {
    "events": "worker",
    "maintenance": "worker",
    "psp_calls": "worker_psp",
    "notifications": "worker_notify",
    "reconcile": "worker_reconcile",
}


def read_queues(context: click.Context, option: click.Parameter, value: str | None) -> list[str]:
    """A comma list of queues; all where nothing is said."""
    queues = [name.strip() for name in value.split(",")] if value else []
    if unknown := set(queues) - set(WATCHED):
        raise click.BadParameter(f"{', '.join(sorted(unknown))} is none of {', '.join(WATCHED)}")
    return queues


@click.command()
@click.option("--once", is_flag=True, help="Look once: exit 1 where a queue is stale.")
@click.option("--queues", callback=read_queues, metavar="QUEUE,...", help="Look at these alone.")
@click.option(
    "--run", callback=read_queues, metavar="QUEUE,...", help="Keep the worker COMMAND, which takes from these queues."
)
@click.option("--every", default=LOOK_SECONDS, show_default=True, type=click.FloatRange(0.1), help="Seconds.")
@click.option("--stale", default=STALE_SECONDS, show_default=True, type=click.IntRange(1), help="Seconds.")
@click.option("--grace", default=GRACE_SECONDS, show_default=True, help="Seconds from TERM to KILL.")
@click.option("--restarts", default=MOST_RESTARTS, show_default=True, type=click.IntRange(0), help="Most in an hour.")
@data_dir_option
@json_option
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def watchdog(
    once: bool,
    queues: list[str],
    run: list[str],
    every: float,
    stale: int,
    grace: float,
    restarts: int,
    data_dir: Path,
    as_json: bool,
    command: tuple[str, ...],
) -> None:
    """Tell of each queue whether workers take from it, by the canaries that beat sends.

    `acuse watchdog --run events,maintenance -- celery ... worker ...` keeps that worker: it is started again where it is
    connected and takes nothing. Signals are passed on to it. Where that does not help, the watchdog ends with 1.
    """
    if bool(run) != bool(command) or (run and (once or queues)):
        raise click.UsageError("--run takes the queues of a worker, and after -- the command that starts it")
    config = stack_config(data_dir)
    if run:
        keeper = build_keeper(config, run, command, every, stale)
        sys.exit(keeper(grace, restarts))
    show = show_for_machines if as_json else show_for_people
    while True:
        with explain_database():
            watches = [one for one in look(config, stale) if not queues or one.queue in queues]
        show(watches)
        if once:
            sys.exit(1 if any(one.is_stale for one in watches) else 0)
        time.sleep(every)


def build_keeper(
    config: Config, queues: Sequence[str], command: Sequence[str], every: float, stale: int
) -> Callable[[float, int], int]:
    """A function that runs the worker, given the grace in seconds and the most restarts; it returns the exit code."""
    send, host = build_send_canary(config), socket.gethostname()

    def start() -> Command:
        return Command(launch(command, env=process_environment()), lambda: True)

    def begin_watch(pid: int) -> Watch:
        return Watch(partial(read, config, host, pid), partial(ring, send), queues, host, pid, every, stale)

    return lambda grace, restarts: Keeper(start, begin_watch, say, every, grace, restarts).run()


def ring(send: Callable[[str], None], own_queue: str) -> None:
    """Send a canary. Raises OSError, whatever the broker raises."""
    try:
        send(own_queue)
    except Exception as error:
        raise OSError(type(error).__name__) from error


def read(config: Config, host: str, pid: int) -> Seen:
    """What this worker and the others took, and what was sent, where the database also writes what they take. Raises whatever
    the database raises."""
    with open_for_a_moment(config) as work:
        work.canaries.prove_writable(host, pid, utc_now())
        work.commit_lazily()
        canaries = work.canaries
        return Seen(canaries.list_taken_by(host, pid), canaries.list_last_taken(), canaries.list_sent())


def look(config: Config, stale: int) -> list[QueueWatch]:
    """Every queue as it is now. Raises DatabaseUnavailable, NotReady."""
    with open_for_a_moment(config) as work:
        return watch_queues(work.canaries.list_last_taken(), work.canaries.list_sent(), utc_now(), stale)


@contextmanager
def open_for_a_moment(config: Config) -> Iterator[UnitOfWork]:
    """Holds a connection for that moment alone. Raises DatabaseUnavailable, NotReady."""
    engine = build_engine(config, "beat")
    try:
        check_schema(engine, HEAD)
        with UnitOfWork(engine) as work:
            yield work
    finally:
        engine.dispose()


def advise(watch: QueueWatch) -> str:
    """One line: the queue, since when nobody takes from it, and what to do."""
    name = f"{watch.queue}, lane {watch.lane}" if watch.lane else watch.queue
    since = "never" if watch.taken_seconds is None else f"{watch.taken_seconds:.0f} s ago"
    if not watch.is_stale:
        return f"{name}: taken from {since}"
    if watch.is_beat_late:
        return f"{name}: STALE, taken from {since}, but beat sends no canaries: start `beat`, then look again"
    return f"{name}: STALE, taken from {since}, while canaries are sent: restart `{WORKERS[watch.queue]}`"


def show_for_people(watches: Sequence[QueueWatch]) -> None:
    for one in watches:
        click.echo(advise(one))


def show_for_machines(watches: Sequence[QueueWatch]) -> None:
    show_json(
        {
            "ok": not any(one.is_stale for one in watches),
            "queues": [asdict(one) | {"says": advise(one)} for one in watches],
        }
    )


def say(sentence: str) -> None:
    click.echo(f"watchdog: {sentence}", err=True)
