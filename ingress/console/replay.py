"""The workbench: what would change if events were processed again, and the runs that set them going."""

from dataclasses import asdict, fields
from typing import Any

from flask import Response, abort, redirect, render_template, request, url_for

from ingress.console.asked import LARGEST_ID, is_still, read_time, write_time
from ingress.console.dependencies import deps, workbench
from ingress.console.formats import show_when
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from models.operators import NewAction
from models.reading import NotFound
from models.rehearsals import FoldedPayment
from models.replays import NewReplay, ReplayFilter, ReplayRun
from models.states import OperatorAction, ReplayState, Verification

AT_ONCE = 200  # events that a dry run looks at here
RATES = (1, 10, 50, 200, 1000)
TIMES = ("received_from", "received_to")
SWITCHES = {"pause": ReplayState.PAUSED, "resume": ReplayState.RUNNING, "stop": ReplayState.STOPPED}
FILTER_NAMES = {
    "psp": "PSP",
    "account": "Account",
    "status": "Status",
    "reason": "Reason",
    "received_from": "Received from (UTC)",
    "received_to": "Received before (UTC)",
    "payment": "Payment id, ours or the PSP's",
}
SIGNATURES = {
    Verification.FITS: "It fits.",
    Verification.RECORDED: "It cannot be asked again; its key is active.",
    Verification.OURS: "An answer to a call of ours.",
    Verification.ROTATED: "It fits no active secret: the key was rotated.",
    Verification.ALTERED: "What is stored is not what came.",
    Verification.LOCKED: "It is sealed, and its payload key is not here.",
}


@blueprint.get("/replay")
@needs(VIEWER)
def show_replay() -> str:
    """A filter, what would change, and the runs, which are asked for again while one goes and nobody reads."""
    wanted = _read_filter(request.args)
    is_asked = "look" in request.args and wanted != ReplayFilter()
    accepts = request.args.get("accepts") == "1"
    rehearsal = workbench().rehearse(wanted, AT_ONCE, accepts_recorded=accepts) if is_asked else None
    folded = _refold(wanted.payment) if wanted.payment and "history" in request.args else None
    with deps().open_front_work() as work:
        runs = work.replays.list_runs(PAGE)
    return render_template(
        "console/replay.html",
        asked=_write_filter(wanted),
        accepts=accepts,
        rehearsal=rehearsal,
        folded=folded,
        runs=runs,
        psps=sorted({psp for psp, _ in deps().accounts}),
        accounts=sorted({name for _, name in deps().accounts}),
        rates=RATES,
        at_once=AT_ONCE,
        signatures=SIGNATURES,
        is_renewed=any(run.state is ReplayState.RUNNING for run in runs) and not is_asked and not folded,
        is_still=is_still(),
    )


@blueprint.get("/replay/runs")
@needs(VIEWER)
def show_runs_part() -> str:
    """The runs alone."""
    with deps().open_front_work() as work:
        return render_template("console/replay_runs_part.html", runs=work.replays.list_runs(PAGE))


@blueprint.post("/replay")
@needs(OPERATOR)
def start_replay() -> Any:
    """A run, for a reason that is written down with it."""
    wanted, why = _read_filter(request.form), request.form.get("why", "").strip()[:LONGEST_REASON]
    if not why:
        return redirect(_address(wanted, request.form.get("accepts") == "1", said="A reason is needed."))
    rate = request.form.get("rate", type=int)
    if wanted == ReplayFilter() or rate not in RATES:
        abort(400, "there is nothing at this address")
    accepts, now, who = request.form.get("accepts") == "1", deps().clock(), signed_in().operator
    with deps().open_front_work() as work:
        run = work.replays.add_run(NewReplay(wanted, who.email, why, rate, None, accepts, now))
        details = {**wanted.to_json(), "rate": rate, "accepts_recorded": accepts}
        work.operators.log_action(NewAction(who.id, OperatorAction.START_REPLAY, _name(run.id), why, details, now))
        work.commit()
    return redirect(url_for("console.show_run", run_id=run.id))


@blueprint.get("/replay/runs/<int:run_id>")
@needs(VIEWER)
def show_run(run_id: int) -> str:
    """How far a run has come, and what operators did to it."""
    run = _find_run(run_id)
    with deps().open_front_work() as work:
        actions = work.operators.list_actions(_name(run.id), PAGE)
    told = asdict(run.wanted) | {name: show_when(getattr(run.wanted, name)) for name in TIMES}
    return render_template(
        "console/replay_run.html",
        run=run,
        actions=actions,
        asked=[(FILTER_NAMES[name], value) for name, value in told.items()],
        again=_address(run.wanted, run.accepts_recorded),
        now=deps().clock(),
        is_still=is_still(),
    )


@blueprint.get("/replay/runs/<int:run_id>/part")
@needs(VIEWER)
def show_run_part(run_id: int) -> Any:
    """How far it has come; the page as a whole once what it offers is another."""
    run = _find_run(run_id)
    if run.state is not ReplayState.RUNNING:
        return Response(headers={"HX-Refresh": "true"})
    return render_template("console/replay_run_part.html", run=run, now=deps().clock())


@blueprint.post("/replay/runs/<int:run_id>")
@needs(OPERATOR)
def switch_run(run_id: int) -> Any:
    """Pause, go on or stop, between two of its steps, for a reason that is written down in the same transaction."""
    action = request.form.get("action", "")
    if action not in SWITCHES:
        abort(400, "there is nothing at this address")
    why = request.form.get("why", "").strip()[:LONGEST_REASON]
    if not why:
        return redirect(url_for("console.show_run", run_id=run_id, said="A reason is needed."))
    now, who = deps().clock(), signed_in().operator
    with deps().open_front_work() as work:
        run = _get_run(work.replays.find_run(min(run_id, LARGEST_ID)))
        is_done = work.replays.switch_run(run.id, SWITCHES[action], now)
        if is_done:
            work.operators.log_action(
                NewAction(who.id, OperatorAction(f"replay.{action}"), _name(run.id), why, {}, now)
            )
        work.commit()
    said = None if is_done else "Nothing was done."
    return redirect(url_for("console.show_run", run_id=run.id, said=said))


def _find_run(run_id: int) -> ReplayRun:
    with deps().open_front_work() as work:
        return _get_run(work.replays.find_run(min(run_id, LARGEST_ID)))


def _get_run(run: ReplayRun | None) -> ReplayRun:
    return run or abort(404, "there is nothing at this address")


def _name(run_id: int) -> str:
    return f"replay {run_id}"


def _refold(payment_id: str) -> FoldedPayment:
    try:
        return workbench().refold(payment_id)
    except NotFound:
        abort(404, "there is no such event or payment")


def _write_filter(wanted: ReplayFilter) -> dict[str, str]:
    """As the fields of the form take it."""
    return asdict(wanted) | {name: write_time(getattr(wanted, name)) for name in TIMES}


def _address(wanted: ReplayFilter, accepts: bool, **more: str) -> str:
    """Where it is told what would change."""
    asked: dict[str, Any] = {name: value for name, value in _write_filter(wanted).items() if value}
    asked |= {"look": 1, "accepts": 1 if accepts else None, **more}
    return url_for("console.show_replay", **asked)


def _read_filter(said: Any) -> ReplayFilter:
    told = {field.name: said.get(field.name, "").strip() for field in fields(ReplayFilter)}
    if told["status"] not in ("", "parked", "ignored"):
        abort(400, "there is nothing at this address")
    times: dict[str, Any] = {name: read_time(told.pop(name)) for name in TIMES}
    return ReplayFilter(**{name: value or None for name, value in told.items()}, **times)
