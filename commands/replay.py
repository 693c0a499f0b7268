"""`acuse events replay`: say what would change if stored events were processed again, and set them going."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from functools import reduce
from pathlib import Path
from typing import Any, TypeVar

import click

from bootstrap_ringing import build_publish, build_replay_deps
from commands.database import open_work, show_json, stack_config
from commands.day_files import open_unit
from commands.replay_history import show_history
from commands.replay_run import Wish, resume_run, run_replay
from commands.replay_tables import SIGNATURES, show_rehearsal
from commands.terms import data_dir_option, fail, find_author, json_option, read_since
from config import Config
from models.replays import NewReplay, ReplayFilter, ReplayStep
from models.states import NEVER_TRUSTED, ReplayState, Verification
from models.unit_of_work import UnitOfWork
from workers.assessing import verify_events
from workers.dependencies import ReplayDeps
from workers.rehearsing import rehearse, rehearse_ids

F = TypeVar("F", bound=Callable[..., Any])
MOST_REHEARSED = 10_000
MOST_FOLDED = 1000
BY_IDS = "named by their ids"  # where no reason is given
ACCEPT = "--accept-recorded-verification"

FILTER_OPTIONS = (
    click.option("--psp", help="Of this PSP alone."),
    click.option("--account", help="Of this account of it."),
    click.option("--status", type=click.Choice(["parked", "ignored"]), help="In this status alone."),
    click.option("--reason", help="Set aside for this reason; with * at the end, for one that begins so."),
    click.option(
        "--from", "received_from", type=read_since, metavar="TIME", help="Received since then (7d, 12h, 2026-11-20)."
    ),
    click.option("--to", "received_to", type=read_since, metavar="TIME", help="Received before then."),
    click.option("--payment", help="About this payment, by our id or the PSP's."),
)
RUN_OPTIONS = (
    click.option("--limit", type=click.IntRange(1), help="So many events at most (with --history: payments)."),
    click.option("--dry-run", is_flag=True, help="Say what would change and change nothing: so without --run."),
    click.option("--run", "is_run", is_flag=True, help="Set what fits going again."),
    click.option("--why", help="Why, for those who look later. --run needs it."),
    click.option("--rate", default=50, show_default=True, type=click.IntRange(1, 1000), help="Events a second."),
    click.option(
        ACCEPT, "accepts_recorded", is_flag=True, help="Also events whose key is gone: it fitted when they came."
    ),
    click.option("--resume", type=int, metavar="RUN", help="Go on with a run that was paused."),
    click.option("--history", is_flag=True, help="Fold whole payments anew: does that lead to what is stored?"),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What was said besides ids and filter."""

    limit: int | None
    dry_run: bool
    is_run: bool
    why: str | None
    rate: int
    accepts_recorded: bool
    resume: int | None
    history: bool


def _options(*options: Callable[[F], F]) -> Callable[[F], F]:
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


@click.command("replay")
@click.argument("event_ids", type=int, nargs=-1)
@_options(*FILTER_OPTIONS, *RUN_OPTIONS)
@data_dir_option
@json_option
def replay(event_ids: tuple[int, ...], data_dir: Path, as_json: bool, **said: Any) -> None:
    """Process parked or ignored events again: those with these ids, or those that fit a filter. With a filter it only says what
    would change, until --run is said. Exit 1 if an id is neither parked nor ignored."""
    wanted = ReplayFilter(**{field.name: said.pop(field.name) for field in fields(ReplayFilter)})
    options = Options(**said)
    _check(event_ids, wanted, options)
    config = stack_config(data_dir)
    if event_ids and not options.dry_run:
        _replay_ids(config, event_ids, options.why, as_json)
        return
    with _open_deps(config) as deps:
        if options.history:
            show_history(deps, wanted, options.limit or MOST_FOLDED, as_json)
        elif options.resume is not None:
            resume_run(deps, options.resume, as_json)
        elif options.is_run:
            wish = Wish(wanted, options.why or "", options.rate, options.limit, options.accepts_recorded)
            run_replay(deps, wish, as_json)
        elif event_ids:
            show_rehearsal(rehearse_ids(deps, event_ids, options.accepts_recorded), as_json)
        else:
            most = min(options.limit or MOST_REHEARSED, MOST_REHEARSED)
            show_rehearsal(rehearse(deps, wanted, most, options.accepts_recorded), as_json)


def _check(event_ids: tuple[int, ...], wanted: ReplayFilter, options: Options) -> None:
    has_filter = wanted != ReplayFilter()
    if event_ids and (has_filter or options.is_run or options.history or options.resume is not None):
        raise click.UsageError("ids say which events are meant: no filter, --run, --resume or --history beside them")
    if not event_ids and not has_filter and options.resume is None:
        raise click.UsageError("say which events: ids, or a filter such as --status parked")
    if options.is_run and not (options.why or "").strip():
        raise click.UsageError("--run takes a reason: --why TEXT")
    if options.is_run and (options.dry_run or options.history or options.resume is not None):
        raise click.UsageError("--run stands alone: no --dry-run, --history or --resume beside it")


@contextmanager
def _open_deps(config: Config) -> Iterator[ReplayDeps]:
    with open_work(config) as work:
        yield build_replay_deps(config, open_unit(work), _make_bell(build_publish(config)))


def _replay_ids(config: Config, event_ids: tuple[int, ...], why: str | None, as_json: bool) -> None:
    with _open_deps(config) as deps, deps.unit_of_work() as work:
        found = verify_events(deps, work, event_ids)
        refused = {id: what for id, what in found.items() if what in NEVER_TRUSTED}
        trusted = [id for id in event_ids if id not in refused]
        replayed = _set_going(work, trusted, (why or "").strip() or BY_IDS, deps.clock())
        forgotten = work.inbox.list_forgotten(list(event_ids))
        if replayed:
            deps.enqueue(replayed)
    left = sorted(set(event_ids) - set(replayed) - set(forgotten) - refused.keys())
    rotated = sorted(id for id in replayed if found.get(id) is Verification.ROTATED)
    if as_json:
        about = {"forgotten": forgotten, "key_rotated": rotated, "refused": refused}
        show_json({"replayed": replayed, "left_alone": left} | about)
    else:
        click.echo(f"replaying {len(replayed)} of {len(event_ids)} events")
    if rotated:
        click.echo(
            f"no active secret fits their signature any more, it fitted when they came: {_join(rotated)}", err=True
        )
    for id, what in sorted(refused.items()):
        click.echo(f"acuse: event {id} is never replayed: {SIGNATURES[what]}", err=True)
    if forgotten:
        click.echo(
            f"acuse: cannot be replayed, its payload was dropped by retention, or erased: {_join(forgotten)}", err=True
        )
    if left:
        fail(f"left alone, because only parked and ignored events can be replayed: {_join(left)}")
    if forgotten or refused:
        sys.exit(1)


def _set_going(work: UnitOfWork, event_ids: list[int], why: str, now: datetime) -> list[int]:
    """Written down as a run that is over at once: who, why and which."""
    replayed = work.inbox.replay(event_ids, now)
    if replayed:
        run = work.replays.add_run(NewReplay(ReplayFilter(), find_author(), why, 1000, None, False, now))
        work.replays.move_run(run, ReplayStep(ReplayState.DONE, run.cursor, now, replayed=len(replayed)), replayed, now)
    work.commit()
    return replayed


def _join(ids: list[int]) -> str:
    return ", ".join(map(str, ids))


def _make_bell(publish: Callable[[Sequence[int]], None]) -> Callable[[Sequence[int]], None]:
    """Rings until it fails for the first time, and says so then."""
    failed: list[str] = []

    def ring(ids: Sequence[int]) -> None:
        if failed:
            return
        try:
            publish(ids)
        except Exception as error:  # noqa: BLE001 - whatever the broker raises, the sweep rings again
            failed.append(type(error).__name__)
            click.echo(f"the broker is away ({type(error).__name__}): the sweep will pick them up", err=True)

    return ring
