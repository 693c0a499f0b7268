"""Who may see and do what in the console: a cookie, a role, and for every change the proof that it came from a page of ours."""

import hmac
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

from flask import Response, abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response as Answer

from ingress.console.dependencies import deps
from ingress.console.operators import SESSION_LASTS, SignedInOperator, find_operator, make_csrf
from models.states import OperatorRole

View = TypeVar("View", bound=Callable[..., Any])
MAY = {
    OperatorRole.VIEWER: frozenset({OperatorRole.VIEWER}),
    OperatorRole.OPERATOR: frozenset({OperatorRole.VIEWER, OperatorRole.OPERATOR}),
    OperatorRole.ADMIN: frozenset(OperatorRole),
}
NEED = "acuse_console_role"
NEEDED = {
    OperatorRole.VIEWER: "this takes the role of a viewer",
    OperatorRole.OPERATOR: "this takes the role of an operator",
    OperatorRole.ADMIN: "this takes the role of an admin",
}
STATIC, NOW = "console.static", "console.show_now"
# Nothing is loaded from elsewhere, nothing is run but what we serve as a file, nobody frames the page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def needs(role: OperatorRole | None) -> Callable[[View], View]:
    """The least role for this view; None where nobody need be logged in."""

    def mark(view: View) -> View:
        setattr(view, NEED, role)
        return view

    return mark


def cookie_name() -> str:
    return "__Secure-acuse-console" if deps().is_secure else "acuse-console"


def set_cookie(answer: Answer, token: str) -> None:
    """Give the browser its token; an empty one takes it away."""
    lasts = int(SESSION_LASTS.total_seconds()) if token else 0
    answer.set_cookie(
        cookie_name(), token, max_age=lasts, path="/console", secure=deps().is_secure, httponly=True, samesite="Strict"
    )


def guard() -> Answer | None:
    """Before every request of the console: find the operator, refuse what may not be done."""
    g.signed_in = None
    if any("\0" in said for said in (request.path, *request.args.values(), *request.form.values())):
        abort(400, "there is a character in it that is no text")
    if request.method == "POST" and request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        abort(403, "this form was sent by another site")
    if request.endpoint == STATIC:
        return None
    need = getattr(current_app.view_functions[request.endpoint or ""], NEED)
    token = request.cookies.get(cookie_name(), "")
    if token:
        g.signed_in = find_operator(deps(), token)
    if need is None:
        return None
    if g.signed_in is None:
        return _ask_to_log_in()
    if need not in MAY[g.signed_in.operator.role]:
        abort(403, NEEDED[need])
    if request.method == "POST" and not hmac.compare_digest(
        request.form.get("csrf", "").encode(), make_csrf(token).encode()
    ):
        abort(403, "this form is of another session: open the page again")
    return None


def take_turn() -> None:
    """Wait until few enough pages are read for operators. Who is not logged in keeps none of them waiting."""
    g.has_turn = g.signed_in is not None and deps().turns.take()
    if g.signed_in and not g.has_turn:
        abort(503, "many look at once: try again")


def end_turn(_: BaseException | None) -> None:
    """After every request, whatever became of it."""
    if g.pop("has_turn", False):
        deps().turns.give_back()


def is_part() -> bool:
    """Whether the page that is open asks for a part of itself."""
    return request.headers.get("HX-Request") == "true"


def _ask_to_log_in() -> Answer:
    if is_part():  # the page as a whole goes there, and comes back as a whole
        page = urlsplit(request.headers.get("HX-Current-URL", "")).path or url_for(NOW)
        return Response(status=401, headers={"HX-Redirect": url_for("console.show_login", next=page)})
    wanted = request.full_path.rstrip("?") if request.method != "POST" else ""
    return redirect(url_for("console.show_login", next=wanted))


def signed_in() -> SignedInOperator:
    """Who asks. Views that need nobody must not ask."""
    found = g.signed_in
    assert isinstance(found, SignedInOperator)
    return found


def may(role: OperatorRole) -> bool:
    """Whether who asks has at least this role."""
    return g.signed_in is not None and role in MAY[g.signed_in.operator.role]


def finish(response: Response) -> Response:
    """Headers that every answer of the console has."""
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "same-origin"
    if request.endpoint != STATIC:
        response.headers["Cache-Control"] = "no-store"
    return response
