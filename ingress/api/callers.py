"""Who calls, and what that one may do. Every view says what it needs; one that does not say ends the start."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar
from uuid import UUID

from flask import Flask, g, request

from ingress.api.problems import ROOT, Problem

Need = Literal["read", "write", "refund", "user", "nobody"]
View = TypeVar("View", bound=Callable[..., Any])

MARK = "acuse_need"


@dataclass(frozen=True, slots=True)
class Caller:
    """A merchant's key, or a user of it who has logged in. A user may do whatever a key may, and more."""

    merchant_id: UUID
    kind: Literal["key", "user"]
    id: UUID  # of the key or the session
    scopes: frozenset[str]
    requests_per_minute: int
    user_id: UUID | None = None


FindCaller = Callable[[str], Caller | None]
"""The caller that a bearer text stands for; None where it stands for nobody (any more)."""


def needs(need: Need) -> Callable[[View], View]:
    """What a caller must have for this view: a scope, to be a logged-in user, or nothing at all."""

    def mark(view: View) -> View:
        setattr(view, MARK, need)
        return view

    return mark


def current_caller() -> Caller:
    """The caller of this request. Views that need nobody must not ask."""
    caller = g.caller
    assert isinstance(caller, Caller)
    return caller


def find_need(app: Flask, endpoint: str | None) -> Need | None:
    """What the view behind an endpoint needs; None where there is no such view, or it lies outside of /v1."""
    need: Need | None = getattr(app.view_functions.get(endpoint or ""), MARK, None)
    return need


def identify(find_caller: FindCaller) -> None:
    """Look at the Authorization header and remember who calls. Nothing is refused yet: it has to be counted first."""
    g.caller = None
    if not request.path.startswith(ROOT):
        return
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        g.caller = find_caller(credentials.strip())


def guard(app: Flask) -> None:
    """Refuse who may not do this."""
    need = find_need(app, request.endpoint)
    if need in (None, "nobody"):
        return
    caller: Caller | None = g.caller
    if caller is None:
        raise Problem(401, "unauthorized", "send `Authorization: Bearer <key or token>` with one that is valid")
    if need == "user" and caller.kind != "user":
        raise Problem(403, "users-only", "an API key may not do this: log in")
    if need != "user" and need not in caller.scopes:
        raise Problem(403, "scope-missing", f"this key lacks the scope {need}")


def check_marked(app: Flask) -> None:
    """Raises AssertionError where a route of /v1 does not say what it needs."""
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(ROOT) and find_need(app, rule.endpoint) is None:
            raise AssertionError(f"{rule.rule} does not say who may call it")
