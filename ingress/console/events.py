"""Events: found by what they are, when they came and which payment they are about; one of them whole, and processed again."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from flask import abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from ingress.console.again import Again, set_going
from ingress.console.dependencies import deps
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LARGEST_ID, LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint, read_before
from ingress.console.replay import SIGNATURES
from ingress.console.words import SPANISH
from models.event_reading import EventFilters, EventPage, Row
from models.operators import NewAction
from models.payload_reading import Payload, PayloadReader
from models.reading import NotFound
from models.states import InboxStatus
from psps.masking import mask_body, mask_headers

MOST_SHOWN = 64 * 1024  # bytes of a body
ASKED = ("psp", "status", "key", "payment", "from", "to")


@blueprint.get("/events")
@needs(VIEWER)
def list_events() -> str:
    """By PSP, status, time, key or payment, the newest first."""
    asked = {name: request.args.get(name, "").strip() for name in ASKED}
    before = read_before()
    page = _find(asked, before)
    psps = sorted({psp for psp, _ in deps().accounts})
    return render_template("console/events.html", page=page, asked=asked, psps=psps, statuses=list(InboxStatus))


def _find(asked: dict[str, str], before: int) -> EventPage:
    """A key says it all; next to a payment, PSP and status are of no use."""
    start, end = _read_time(asked["from"]), _read_time(asked["to"])
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


def _read_time(said: str) -> datetime | None:
    """UTC, as browsers send what was chosen."""
    if not said:
        return None
    try:
        return datetime.fromisoformat(said).replace(tzinfo=UTC)
    except ValueError:
        abort(400, "this is no time")


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
    said = request.args.get("said", "")
    said = said if said in SPANISH else ""  # a link from elsewhere does not make us say anything
    return render_template(
        "console/event.html",
        event=event,
        key=_describe_key(event),
        arrived=_show_arrived(arrived) if arrived else None,
        calls=calls,
        actions=actions,
        said=said,
    )


def _show_arrived(arrived: Payload) -> dict[str, Any]:
    is_whole = len(arrived.body) <= MOST_SHOWN and not arrived.locked
    return {
        "locked": arrived.locked,
        "headers": list(mask_headers({name.lower(): value for name, value in arrived.headers}).items()),
        "body": mask_body(arrived.body, arrived.content_type) if is_whole else None,
    }


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
            action = NewAction(who, "events.replay", f"event {event_id}", reason, again.details, now)
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
