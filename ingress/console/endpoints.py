"""Endpoints of all merchants: how they do, what waits for them, what they did not get, and having it sent again."""

from typing import Any
from uuid import UUID

from flask import abort, redirect, render_template, request, url_for

from ingress.console.asked import read_uuid
from ingress.console.dependencies import deps
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from models.operators import NewAction
from models.reading import NotFound
from models.states import DeliveryStatus, OperatorAction

STATUSES = (DeliveryStatus.PENDING, DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)
NO_ENDPOINT = "there is no such endpoint"


@blueprint.get("/endpoints")
@needs(VIEWER)
def list_endpoints() -> str:
    """All, or those in trouble."""
    in_trouble = request.args.get("show") == "trouble"
    after = read_uuid(request.args.get("after", ""))
    with deps().open_front_work() as work:
        endpoints = work.endpoint_reader.list_endpoints(in_trouble, PAGE, after)
    further = endpoints[-1].id if len(endpoints) == PAGE else None
    return render_template("console/endpoints.html", endpoints=endpoints, in_trouble=in_trouble, further=further)


@blueprint.get("/endpoints/<uuid:endpoint_id>")
@needs(VIEWER)
def show_endpoint(endpoint_id: UUID) -> str:
    """One endpoint, what goes to it with every attempt, and what operators did about it."""
    asked = request.args.get("status", "")
    status = DeliveryStatus(asked) if asked in STATUSES else None
    with deps().open_front_work() as work:
        try:
            endpoint = work.endpoint_reader.get_endpoint(endpoint_id)
        except NotFound:
            abort(404, NO_ENDPOINT)
        deliveries = work.endpoint_reader.list_deliveries(endpoint_id, status, PAGE)
        actions = work.operators.list_actions(f"endpoint {endpoint_id}", PAGE)
    return render_template(
        "console/endpoint.html",
        endpoint=endpoint,
        deliveries=deliveries,
        actions=actions,
        statuses=STATUSES,
        status=status or "",
    )


@blueprint.post("/endpoints/<uuid:endpoint_id>/replay")
@needs(OPERATOR)
def replay_notifications(endpoint_id: UUID) -> Any:
    """Send the chosen notifications again, for a reason that is written down in the same transaction. The sweep rings."""
    reason = request.form.get("reason", "").strip()[:LONGEST_REASON]
    chosen = {found for text in request.form.getlist("notification") if (found := read_uuid(text))}
    ids = sorted(chosen)[:PAGE]
    if not reason or not ids:
        said = "A reason is needed." if not reason else "Nothing was chosen."
        return redirect(url_for("console.show_endpoint", endpoint_id=endpoint_id, said=said))
    now = deps().clock()
    with deps().open_front_work() as work:
        try:
            merchant_id = work.endpoint_reader.get_endpoint(endpoint_id).merchant_id
        except NotFound:
            abort(404, NO_ENDPOINT)
        done = [str(one) for one in ids if work.notifications.replay(merchant_id, one, endpoint_id, now)]
        if done:
            who, subject = signed_in().operator.id, f"endpoint {endpoint_id}"
            action = NewAction(who, OperatorAction.REPLAY_NOTIFICATIONS, subject, reason, {"notifications": done}, now)
            work.operators.log_action(action)
        work.commit()
    said = "They are sent again." if done else "Nothing is sent: the endpoint is disabled, or they are gone."
    return redirect(url_for("console.show_endpoint", endpoint_id=endpoint_id, said=said))
