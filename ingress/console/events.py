"""Events: found by what they are, when they came and which payment they are about; one of them whole, and processed again."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from ingress.console.again import Again, set_going
from ingress.console.asked import LARGEST_ID, read_before, read_time, write_time
from ingress.console.dependencies import deps
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from ingress.console.replay import SIGNATURES
from models.event_reading import EventFilters, EventPage, Row
from models.operators import NewAction
from models.payload_reading import Payload, PayloadReader
from models.reading import ERASED_PAYLOAD, NotFound
from models.states import InboxStatus, OperatorAction
from psps.masking import mask_body, mask_headers

MOST_SHOWN = 64 * 1024  # bytes of a body
CARD_DATA = "Card data was taken out before it was stored."
ERASED = "A person was erased from it after it had come."
ASKED = ("psp", "status", "key", "payment", "from", "to")


@blueprint.get("/events")
@needs(VIEWER)
def list_events() -> str:
    """By PSP, status, time, key or payment, the newest first."""
    asked = {name: request.args.get(name, "").strip() for name in ASKED}
    start, end = read_time(asked["from"]), read_time(asked["to"])
    asked |= {"from": write_time(start), "to": write_time(end)}
    page = _find(asked, start, end)
    psps = sorted({psp for psp, _ in deps().accounts})
    return render_template("console/events.html", page=page, asked=asked, psps=psps, statuses=list(InboxStatus))


def _find(asked: dict[str, str], start: datetime | None, end: datetime | None) -> EventPage:
    """A key says it all; next to a payment, PSP and status are of no use."""
    before = read_before()
    with deps().open_front_work() as work:
        if asked["key"]:
            return EventPage(work.reader.find_events(asked["key"], list(deps().accounts)), None)
        if asked["payment"]:
            with suppress(NotFound):
                payment_id = work.reader.get_payment_id(asked["payment"])
                return EventPage(work.events.list_of_payment(payment_id, PAGE), None)
            return EventPage([], None)
        status = asked["status"] if asked["status"] in list(InboxStatus) else None
        return work.events.list_page(EventFilters(asked["psp"] or None, status, start, end), PAGE, before)


@blueprint.get("/events/<int:event_id>")
@needs(VIEWER)
def show_event(event_id: int) -> str:
    """One event: what came, its decisions, the calls to the PSP that it answers, and what operators did about it."""
    if event_id > LARGEST_ID:
        abort(404, "there is no such event or payment")
    with deps().open_front_work() as work:
        try:
            event = work.reader.get_event(event_id)
        except NotFound:
            abort(404, "there is no such event or payment")
        arrived = PayloadReader(work.connection).get(event_id)
        calls = work.events.list_calls(event_id, PAGE)
        actions = work.operators.list_actions(f"event {event_id}", PAGE)
    return render_template(
        "console/event.html",
        event=event,
        key=_describe_key(event),
        arrived=_show_arrived(arrived, event) if arrived else None,
        calls=calls,
        actions=actions,
    )


def _show_arrived(arrived: Payload, event: Row) -> dict[str, Any]:
    is_whole = len(arrived.body) <= MOST_SHOWN and not arrived.locked
    return {
        "locked": arrived.locked,
        "bytes": event["body_bytes"] if arrived.locked else len(arrived.body),
        "changed": _tell_change(event),
        "headers": list(mask_headers({name.lower(): value for name, value in arrived.headers}).items()),
        "body": mask_body(arrived.body, arrived.content_type) if is_whole else None,
    }


def _tell_change(event: Row) -> str:
    """Why it is not as it came; an erasure is told before what else was taken out."""
    if event["payload"] == ERASED_PAYLOAD:
        return ERASED
    return CARD_DATA if event["redacted"] else ""


def _describe_key(event: Row) -> tuple[str, int, int] | None:
    """The label of the key that fitted, its place among those of the account (1 is the newest, 0 none of them), how many."""
    if not event["verified_with"]:
        return None
    labels = deps().key_labels.get((event["psp"], event["account"]), ())
    place = labels.index(event["verified_with"]) + 1 if event["verified_with"] in labels else 0
    return event["verified_with"], place, len(labels)


@blueprint.post("/events/<int:event_id>/replay")
@needs(OPERATOR)
def replay_event(event_id: int) -> Answer:
    """Set a parked or ignored event going again, for a reason that is written down in the same transaction."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    if not reason:
        return redirect(url_for("console.show_event", event_id=event_id, said="A reason is needed."))
    now = deps().clock()
    with deps().open_front_work() as work:
        again = set_going(work, [event_id], now)
        if again.going:
            who = signed_in().operator.id
            action = NewAction(who, OperatorAction.REPLAY_EVENTS, f"event {event_id}", reason, again.details, now)
            work.operators.log_action(action)
        work.commit()
    with suppress(Exception):  # the sweep rings again
        deps().publish(again.going)
    return redirect(url_for("console.show_event", event_id=event_id, said=_tell_again(again, event_id)))


def _tell_again(again: Again, event_id: int) -> str:
    if event_id in again.refused:
        return SIGNATURES[again.refused[event_id]]
    if again.rotated:
        return "It is processed again, though no active secret fits its signature."
    if again.going:
        return "It is processed again."
    return "Only what is parked or ignored, and still has its payload, can be processed again."
