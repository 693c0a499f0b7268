"""What all pages share, logging in and out, payments, and what operators did."""

from functools import partial
from typing import Any

import structlog
from flask import Blueprint, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as Answer

from ingress.account_terms import TooManyTries, WrongCredentials
from ingress.console.asked import read_before, read_uuid
from ingress.console.closing_words import say_obstacle
from ingress.console.dependencies import deps
from ingress.console.formats import add_formats
from ingress.console.guard import cookie_name, end_turn, finish, guard, is_part, may, needs, set_cookie, take_turn
from ingress.console.nav import FOR_ADMINS, NAV
from ingress.console.operators import log_in, log_out
from ingress.console.reason_words import say_reason, say_subject
from ingress.console.reconciling_words import name_word
from ingress.console.sides import read_payment
from ingress.console.words import COOKIE, LANGUAGES, SPANISH, find_language, find_said, say_parts, translator
from ingress.faults import describe_fault
from ingress.passwords import TooBusy
from ingress.sources import find_source
from models.payment_reading import PaymentReader
from models.reading import NotFound
from models.states import OperatorRole, PaymentState
from models.unit_of_work import Contention, DatabaseUnavailable, is_too_much

log = structlog.get_logger(__name__)
PAGE = 50
LONGEST_REASON = 500
USUAL = {  # what Flask itself refuses
    400: "the request cannot be understood",
    404: "there is nothing at this address",
    405: "this address takes no such request",
}
VIEWER, OPERATOR, ADMIN = OperatorRole.VIEWER, OperatorRole.OPERATOR, OperatorRole.ADMIN
blueprint = Blueprint("console", __name__, url_prefix="/console", template_folder="templates", static_folder="static")
blueprint.before_request(guard)
blueprint.before_request(take_turn)
blueprint.teardown_request(end_turn)
blueprint.after_request(finish)
add_formats(blueprint)


@blueprint.context_processor
def offer() -> dict[str, Any]:
    """What every page may use."""
    language = find_language()
    say = translator(language)
    return {
        "_": say,
        "say": lambda word, table: say(name_word(word, table)),
        "say_parts": partial(say_parts, say=say),
        "say_reason": partial(say_reason, language=language),
        "say_subject": partial(say_subject, language=language),
        "say_obstacle": partial(say_obstacle, language=language),
        "language": language,
        "nav": NAV + FOR_ADMINS * may(ADMIN),
        "said": find_said(),
        "signed_in": g.get("signed_in"),
        "may_act": may(OPERATOR),
    }


@blueprint.errorhandler(HTTPException)
def show_error(error: HTTPException) -> tuple[str, int]:
    """A page that says what is wrong."""
    is_ours = error.description in SPANISH
    return _tell(error.description or "" if is_ours else USUAL.get(error.code or 0, USUAL[400])), error.code or 500


def show_wrong_method(error: HTTPException) -> Response:
    """A page for what is refused before it is known whose page it is: nobody is logged in there, and the headers are put on it here."""
    g.signed_in = None
    page = render_template("console/error.html", text=USUAL[405], **offer())
    headers = [(name, value) for name, value in error.get_headers() if name == "Allow"]
    return finish(Response(page, 405, headers, mimetype="text/html"))


@blueprint.errorhandler(Exception)
def show_fault(error: Exception) -> Any:
    """A page for what the database refuses or takes too long for. What took too long is not asked for again by itself."""
    if is_too_much(error):
        return _tell("this takes too long: name a key or an id"), 503
    if isinstance(error, Contention):
        return _tell("somebody else is at it at this moment, and nothing was done: try again"), 409
    if isinstance(error, DatabaseUnavailable):
        return _tell("the database does not answer"), 503, {"Refresh": "10"}
    log.error("console.fault", path=request.path, **describe_fault(error))
    return _tell("an error of ours, which is in the log"), 500


def _tell(text: str) -> str:
    return render_template("console/error_part.html" if is_part() else "console/error.html", text=text)


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


@blueprint.get("/payments")
@needs(VIEWER)
def list_payments() -> Any:
    """By PSP and state, the newest first; an id leads to its page."""
    asked = {name: request.args.get(name, "").strip() for name in ("psp", "state", "id")}
    if asked["id"]:
        return redirect(url_for("console.show_payment", payment_id=asked["id"]))
    state = asked["state"] if asked["state"] in list(PaymentState) else None
    before = read_uuid(request.args.get("before", ""))
    with deps().open_front_work() as work:
        page = PaymentReader(work.connection).list_page(asked["psp"] or None, state, PAGE, before)
    psps = sorted({psp for psp, _ in deps().accounts})
    return render_template("console/payments.html", page=page, asked=asked, psps=psps, states=list(PaymentState))


@blueprint.get("/payments/<path:payment_id>")
@needs(VIEWER)
def show_payment(payment_id: str) -> str:
    """One payment, by our id or the PSP's, with its story: the newest decisions and calls, and older ones a page at a time."""
    before, before_call = read_before(), read_uuid(request.args.get("before_call", ""))
    with deps().open_front_work() as work:
        try:
            payment = PaymentReader(work.connection).get(payment_id, before, before_call)
        except NotFound:
            abort(404, "there is no such event or payment")
        beside = read_payment(deps().bookkeeping, work, payment)
    return render_template(
        "console/payment.html", payment=payment, beside=beside, before=before, before_call=before_call
    )


@blueprint.get("/actions")
@needs(VIEWER)
def list_actions() -> str:
    """What operators did, the newest first."""
    with deps().open_front_work() as work:
        actions = work.operators.list_actions(None, PAGE, read_before())
    older = actions[-1]["id"] if len(actions) == PAGE else None
    return render_template("console/actions.html", actions=actions, older=older)
