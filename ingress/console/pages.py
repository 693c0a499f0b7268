"""The pages: what happens now, events, payments, and what operators did."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

import structlog
from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from ingress.account_terms import TooManyTries, WrongCredentials
from ingress.console.dependencies import deps
from ingress.console.formats import add_formats
from ingress.console.guard import cookie_name, finish, guard, may, needs, set_cookie, signed_in
from ingress.console.nav import NAV
from ingress.console.operators import log_in, log_out
from ingress.console.sides import read_payment
from ingress.console.words import COOKIE, LANGUAGES, SPANISH, find_language, translator
from ingress.faults import describe_fault
from ingress.passwords import TooBusy
from ingress.sources import find_source
from models.operators import NewAction
from models.reading import NotFound
from models.states import InboxStatus, OperatorRole, PaymentState
from models.unit_of_work import DatabaseUnavailable, is_too_much

log = structlog.get_logger(__name__)
PAGE = 50
LATELY = timedelta(minutes=1)
MOST_LATELY = 30_000
LONGEST_REASON = 500
LARGEST_ID = 2**63 - 1
VIEWER, OPERATOR = OperatorRole.VIEWER, OperatorRole.OPERATOR
blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")
blueprint.before_request(guard)
blueprint.after_request(finish)
add_formats(blueprint)


@blueprint.context_processor
def offer() -> dict[str, Any]:
    """What every page may use."""
    language = find_language()
    who = {"signed_in": g.get("signed_in"), "may_act": may(OPERATOR)}
    return {"_": translator(language), "language": language, "nav": NAV, **who}


@blueprint.errorhandler(HTTPException)
def show_error(error: HTTPException) -> tuple[str, int]:
    """A page that says what is wrong."""
    return render_template("console/error.html", text=error.description or error.name), error.code or 500


@blueprint.errorhandler(Exception)
def show_fault(error: Exception) -> tuple[str, int]:
    """A page for what the database refuses or takes too long for."""
    if is_too_much(error):
        return render_template("console/error.html", text="this takes too long: name a key or an id"), 503
    if isinstance(error, DatabaseUnavailable):
        return render_template("console/error.html", text="the database does not answer"), 503
    log.error("console.fault", path=request.path, **describe_fault(error))
    return render_template("console/error.html", text="an error of ours, which is in the log"), 500


@blueprint.get("/")
@blueprint.get("/<path:rest>")
@needs(VIEWER)
def show_nothing(rest: str = "") -> Any:
    """Addresses that are none."""
    return abort(404, "there is nothing at this address") if rest else redirect(url_for("console.show_now"))


@blueprint.get("/login")
@needs(None)
def show_login() -> Any:
    """The form."""
    return render_template("console/login.html", wrong="")


@blueprint.post("/login")
@needs(None)
def send_login() -> Any:
    """A cookie and the page that was wanted, or the form again."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    address = find_source(request.remote_addr or "", headers, deps().trusted_proxies) or "unknown"
    try:
        token = log_in(deps(), request.form.get("email", ""), request.form.get("password", ""), address)
    except WrongCredentials as error:
        return render_template("console/login.html", wrong=str(error)), 401
    except (TooManyTries, TooBusy):
        return render_template("console/login.html", wrong="too many tries: wait a minute"), 429
    wanted = request.args.get("next", "")
    answer = redirect(wanted if wanted.startswith("/console") else url_for("console.show_now"))
    set_cookie(answer, token)
    return answer


@blueprint.post("/logout")
@needs(VIEWER)
def send_logout() -> Answer:
    """End the session."""
    log_out(deps(), request.cookies.get(cookie_name(), ""))
    answer = redirect(url_for("console.show_login"))
    set_cookie(answer, "")
    return answer


@blueprint.get("/language/<name>")
@needs(None)
def choose_language(name: str) -> Answer:
    """Remember the language, and go on where one was."""
    if name not in LANGUAGES:
        abort(404)
    back = request.args.get("next", "")
    answer = redirect(back if back.startswith("/console") else url_for("console.show_now"))
    answer.set_cookie(COOKIE, name, max_age=365 * 86_400, path="/console", secure=deps().is_secure, samesite="Lax")
    return answer


@blueprint.get("")
@needs(VIEWER)
def show_now() -> str:
    """What waits, what was set aside, what came in the last minute."""
    now = deps().clock()
    with deps().open_front_work() as work:
        queues = work.queues.list_depths(now)
        aside = work.inbox.count_set_aside()
        received, decided = work.reader.count_lately(now - LATELY, MOST_LATELY)
    return render_template(
        "console/now.html", now=now, queues=queues, aside=aside, received=_tell(received), decided=_tell(decided)
    )


def _tell(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Where all that was looked at is of the last minute, there was more."""
    is_more = sum(counts.values()) >= MOST_LATELY
    return [(name, f"≥ {count}" if is_more else str(count)) for name, count in counts.items()]


@blueprint.get("/events")
@needs(VIEWER)
def list_events() -> str:
    """By PSP, status and key, the newest first."""
    asked = {name: request.args.get(name, "").strip() for name in ("psp", "status", "key")}
    before = min(request.args.get("before", type=int) or LARGEST_ID, LARGEST_ID)
    with deps().open_front_work() as work:
        if asked["key"]:
            events = work.reader.find_events(asked["key"], list(deps().accounts))
        else:
            status = asked["status"] if asked["status"] in list(InboxStatus) else None
            events = work.reader.list_events(asked["psp"] or None, status, PAGE, before)
    psps = sorted({psp for psp, _ in deps().accounts})
    older = events[-1]["id"] if len(events) == PAGE and not asked["key"] else None
    return render_template(
        "console/events.html", events=events, asked=asked, psps=psps, statuses=list(InboxStatus), older=older
    )


@blueprint.get("/events/<int:event_id>")
@needs(VIEWER)
def show_event(event_id: int) -> str:
    """One event, its decisions, and what operators did about it."""
    with deps().open_front_work() as work:
        try:
            event = work.reader.get_event(event_id)
        except NotFound:
            abort(404, "there is no such event or payment")
        actions = work.operators.list_actions(f"event {event_id}", PAGE)
    said = request.args.get("said", "")
    said = said if said in SPANISH else ""  # a link from elsewhere does not make us say anything
    return render_template("console/event.html", event=event, actions=actions, said=said)


@blueprint.post("/events/<int:event_id>/replay")
@needs(OPERATOR)
def replay_event(event_id: int) -> Answer:
    """Set a parked or ignored event going again, for a reason that is written down in the same transaction."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    if not reason:
        return redirect(url_for("console.show_event", event_id=event_id, said="A reason is needed."))
    now = deps().clock()
    with deps().open_front_work() as work:
        replayed = work.inbox.replay([event_id], now)
        if replayed:
            who = signed_in().operator.id
            work.operators.log_action(NewAction(who, "events.replay", f"event {event_id}", reason, {}, now))
        work.commit()
    with suppress(Exception):  # the sweep rings again
        deps().publish(replayed)
    said = (
        "It is processed again."
        if replayed
        else ("Only what is parked or ignored, and still has its payload, can be processed again.")
    )
    return redirect(url_for("console.show_event", event_id=event_id, said=said))


@blueprint.get("/payments")
@needs(VIEWER)
def list_payments() -> Any:
    """By PSP and state, the newest first; an id leads to its page."""
    asked = {name: request.args.get(name, "").strip() for name in ("psp", "state", "id")}
    if asked["id"]:
        return redirect(url_for("console.show_payment", payment_id=asked["id"]))
    state = asked["state"] if asked["state"] in list(PaymentState) else None
    with deps().open_front_work() as work:
        payments = work.reader.list_payments(asked["psp"] or None, state, PAGE)
    psps = sorted({psp for psp, _ in deps().accounts})
    return render_template(
        "console/payments.html", payments=payments, asked=asked, psps=psps, states=list(PaymentState)
    )


@blueprint.get("/payments/<path:payment_id>")
@needs(VIEWER)
def show_payment(payment_id: str) -> str:
    """One payment, by our id or the PSP's, with its whole story."""
    with deps().open_front_work() as work:
        try:
            payment = work.reader.get_payment(payment_id)
        except NotFound:
            abort(404, "there is no such event or payment")
        beside = read_payment(deps().bookkeeping, work, payment)
    return render_template("console/payment.html", payment=payment, beside=beside)


@blueprint.get("/actions")
@needs(VIEWER)
def list_actions() -> str:
    """What operators did, the newest first."""
    with deps().open_front_work() as work:
        actions = work.operators.list_actions(None, PAGE)
    return render_template("console/actions.html", actions=actions)
