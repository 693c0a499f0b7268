"""How far each account is compared with its PSP, and its days: what is closed, with which certificate, and what holds the
others back."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from flask import Response, abort, redirect, render_template, request, url_for

from ingress.console.asked import read_before
from ingress.console.dependencies import Obstacle, deps
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from models.closings import ClosingRepository, DayKey
from models.console_reading import ConsoleReader
from models.operators import NewAction
from models.reading import NotFound
from models.states import OperatorAction, RunKind
from models.unit_of_work import is_too_much

RUNS, DAYS, VERSIONS = 20, 31, 20
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2100, 12, 31)
FOUND = "found_"
FILES = {"html": "text/html", "json": "application/json"}
ASKED = "It is asked for, and stands here as soon as it has begun; one that is under way goes on instead."
NOT_RUNG = "The broker does not answer: ask again in a moment."
CANNOT = "This account cannot be compared: it has no credentials to call its PSP with."
NEVER_COMPARED = frozenset({"not_begun", "no_banking_day", "past_the_calendar"})  # what is in the way of that, too


@blueprint.get("/reconciliation")
@needs(VIEWER)
def show_reconciliation() -> str:
    """Every account: its last run, the newest day that was compared and that is closed, its open differences."""
    with deps().open_front_work() as work:
        accounts = ConsoleReader(work.connection).list_accounts(sorted(deps().accounts))
    return render_template(
        "console/reconciliation.html",
        accounts=[one | {"found": count_found(one["counts"])} for one in accounts],
    )


@blueprint.get("/reconciliation/<psp>/<account>")
@needs(VIEWER)
def show_account(psp: str, account: str) -> str:
    """The last runs of an account and its days."""
    _require(psp, account)
    until = _read_day(request.args["until"]) if "until" in request.args else LAST_DAY
    with deps().open_front_work() as work:
        reader = ConsoleReader(work.connection)
        runs = reader.list_runs(psp, account, read_before(), RUNS)
        days = reader.list_days(psp, account, until, DAYS)
    return render_template(
        "console/account.html",
        psp=psp,
        account=account,
        runs=[one | {"found": count_found(one["counts"])} for one in runs],
        days=days,
        older_runs=runs[-1]["id"] if len(runs) == RUNS else None,
        older_days=days[-1]["day"] if len(days) == DAYS else None,
        can_ask=deps().accounts[psp, account].can_call,
    )


@blueprint.get("/reconciliation/<psp>/<account>/<day>")
@needs(VIEWER)
def show_day(psp: str, account: str, day: str) -> str:
    """One day: its certificates, and what is in the way of closing it now."""
    key = _read_key(psp, account, day)
    obstacles = _find_obstacles(key)
    with deps().open_front_work() as work:
        versions = ConsoleReader(work.connection).list_versions(psp, account, key.day, VERSIONS)
        newest = ClosingRepository(work.connection).find_newest(key)
        actions = work.operators.list_actions(_name_subject(key), PAGE)
    return render_template(
        "console/day.html",
        key=key,
        obstacles=obstacles,
        versions=versions,
        certificate=newest.certificate if newest else None,
        actions=actions,
        can_ask=deps().accounts[psp, account].can_call and NEVER_COMPARED.isdisjoint(o.code for o in obstacles or ()),
    )


def _find_obstacles(key: DayKey) -> Sequence[Obstacle] | None:
    """None where there is more than the pages may read: the rest of the day is shown all the same."""
    try:
        with deps().open_front_work() as work:
            return deps().bookkeeping.find_obstacles(work, key, deps().clock())
    except Exception as error:
        if is_too_much(error):
            return None
        raise


@blueprint.get("/reconciliation/<psp>/<account>/<day>/<int:version>/certificate.<any(html, json):kind>")
@needs(VIEWER)
def give_certificate(psp: str, account: str, day: str, version: int, kind: str) -> Response:
    """A certificate as the file that `acuse certificates show` writes."""
    key = _read_key(psp, account, day)
    with deps().open_front_work() as work:
        closings = ClosingRepository(work.connection)
        newest = closings.find_newest(key)
        if newest is None or version > newest.version:
            abort(404, "there is no such certificate")
        try:
            closing = closings.get_version(key, version)
        except NotFound:
            abort(404, "there is no such certificate")
    books = deps().bookkeeping
    superseded_by = newest.version if newest.version != version else None
    text = books.write_certificate(closing) if kind == "json" else books.draw_certificate(closing, None, superseded_by)
    answer = Response(text, mimetype=FILES[kind])
    name = f"certificate-{psp}-{account}-{key.day}-v{version}.{kind}"
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer


@blueprint.post("/reconciliation/<psp>/<account>/ask")
@needs(OPERATOR)
def ask_reconciliation(psp: str, account: str) -> Any:
    """Have an account, or a day of it, compared now, for a reason that is written down."""
    _require(psp, account)
    why = request.form.get("why", "").strip()[:LONGEST_REASON]
    named = request.form.get("day", "")
    key = _read_key(psp, account, named) if named else None
    return _lead_back(psp, account, key, _ask(psp, account, key, why))


def _ask(psp: str, account: str, key: DayKey | None, why: str) -> str:
    """What is said about it. The message goes where those of the timetable go."""
    if not why:
        return "A reason is needed."
    if not deps().accounts[psp, account].can_call:
        return CANNOT
    subject = _name_subject(key) if key else f"account {psp}/{account}"
    with deps().open_front_work() as work:
        who = signed_in().operator.id
        work.operators.log_action(NewAction(who, OperatorAction.ASK_RECONCILIATION, subject, why, {}, deps().clock()))
        work.commit()
    kind, day = (RunKind.DAY, key.day.isoformat()) if key else (RunKind.CONTINUOUS, None)
    with suppress(Exception):
        deps().bookkeeping.ring_reconcile(psp, account, kind, day)
        return ASKED
    return NOT_RUNG


def count_found(counts: dict[str, int] | None) -> dict[str, int]:
    """What a run has found, by class."""
    return {name.removeprefix(FOUND): n for name, n in (counts or {}).items() if name.startswith(FOUND) and n}


def _require(psp: str, account: str) -> None:
    if (psp, account) not in deps().accounts:
        abort(404, "there is no such account")


def _read_key(psp: str, account: str, day: str) -> DayKey:
    _require(psp, account)
    return DayKey(psp, account, _read_day(day))


def _read_day(said: str) -> date:
    with suppress(ValueError):
        if FIRST_DAY <= (day := date.fromisoformat(said)) <= LAST_DAY:
            return day
    return abort(404, "there is no such day")


def _name_subject(key: DayKey) -> str:
    return f"day {key.psp}/{key.account} {key.day}"


def _lead_back(psp: str, account: str, key: DayKey | None, said: str) -> Any:
    where: dict[str, Any] = {"psp": psp, "account": account, "said": said}
    if key is None:
        return redirect(url_for("console.show_account", **where))
    return redirect(url_for("console.show_day", day=key.day, **where))
