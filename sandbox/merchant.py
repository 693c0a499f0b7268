"""The other end of notifications: an inbox such as a merchant's server has, and our own buttons on it."""

import time
from typing import Any

from flask import Blueprint, Response, abort, request

from sandbox.answers import answer
from sandbox.merchant_inbox import MerchantInbox
from sandbox.state import SandboxState

MOST_BYTES = 256 * 1024


def make_merchant(state: SandboxState) -> Blueprint:
    """POST /merchant/webhooks and /merchant/webhooks/<name>."""
    merchant = Blueprint("merchant", __name__, url_prefix="/merchant")

    @merchant.post("/webhooks")
    @merchant.post("/webhooks/<name>")
    def take_notification(name: str = "") -> Response:
        if (request.content_length or 0) > MOST_BYTES:
            abort(413)
        headers = {header.lower(): value for header, value in request.headers.items()}
        status = state.inbox.take(name, headers, request.get_data(), time.time())
        return answer({}, status)

    return merchant


def add_inbox_buttons(control: Blueprint, state: SandboxState) -> None:
    """/sandbox/notifications: see what has come, and tell the merchant its secrets and its manners."""
    inbox = state.inbox
    _add_manners(control, inbox)

    @control.get("/notifications")
    def show_notifications() -> Response:
        """?after=<number> -> [{number, name, id, type, timestamp, verified, answered, arrived_at, body}, ...]"""
        return answer(inbox.list_all(request.args.get("after", 0, int)))

    @control.delete("/notifications")
    def clear_notifications() -> Response:
        inbox.clear()
        return answer({})

    @control.put("/notifications/secrets")
    def set_secrets() -> Response:
        """{name?, secrets}: those of the endpoint; two while they are rotated"""
        asked = _asked()
        secrets = asked.get("secrets")
        if not isinstance(secrets, list):
            return answer({"error": "secrets must be a list"}, 400)
        try:
            inbox.know(str(asked.get("name", "")), secrets)
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        return answer({})


def _add_manners(control: Blueprint, inbox: MerchantInbox) -> None:
    @control.get("/notifications/manners")
    def show_manners() -> Response:
        """{name: {answer, times, seconds}}, where it does not answer 200"""
        return answer(inbox.manners())

    @control.put("/notifications/manners")
    def set_manners() -> Response:
        """{name?, answer: a status or hang, times?, seconds?}"""
        asked = _asked()
        more = {name: asked[name] for name in ("times", "seconds") if name in asked}
        try:
            inbox.behave(str(asked.get("name", "")), asked.get("answer", ""), **more)
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        return show_manners()


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict):
        abort(400)
    return asked
