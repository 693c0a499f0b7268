"""/v1/endpoints: where a merchant wants to be notified."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import Response

from ingress.api.callers import current_caller, needs
from ingress.api.dependencies import deps
from ingress.api.endpoint_schemas import (
    EndpointChange,
    EndpointInput,
    EndpointOutput,
    EndpointsOutput,
    NewEndpointOutput,
    RotationInput,
)
from ingress.api.idempotency import Made, once
from ingress.api.parsing import Blueprint, refuse_body
from ingress.notifying import EndpointDesk
from models.endpoints import Endpoint
from models.merchant_work import MerchantWork

blueprint = Blueprint("endpoints", __name__, url_prefix="/v1/endpoints", description="Where you are notified")


@blueprint.route("", methods=["POST"])
@needs("write")
@blueprint.arguments(EndpointInput)
@blueprint.response(201, NewEndpointOutput)
def create_endpoint(wanted: dict[str, Any]) -> Response:
    """Register an endpoint

    What happens from now on is sent to it as a Standard Webhook, signed with `secret`, which is shown this once.
    """

    def perform(work: MerchantWork) -> Made:
        endpoint_id, secret = open_desk(work).add(
            wanted["url"], wanted.get("description"), wanted.get("event_types", ())
        )
        return Made(endpoint_id, body=_show_new(work, endpoint_id, secret), holds_secret=True)

    return once(perform)


@blueprint.route("", methods=["GET"])
@needs("read")
@blueprint.response(200, EndpointsOutput)
def list_endpoints() -> dict[str, Any]:
    """List the endpoints

    The oldest first, also those that are disabled.
    """
    merchant_id = current_caller().merchant_id
    with deps().open_work(merchant_id) as work:
        return {"endpoints": [_show(one) for one in work.endpoints.list_all(merchant_id)]}


@blueprint.route("/<uuid:endpoint_id>", methods=["GET"])
@needs("read")
@blueprint.response(200, EndpointOutput)
def get_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    """Read an endpoint

    Its filter, whether it works, and until when the secret before signs as well. No secret is ever shown again.
    """
    merchant_id = current_caller().merchant_id
    with deps().open_work(merchant_id) as work:
        return _show(work.endpoints.get(merchant_id, endpoint_id))


@blueprint.route("/<uuid:endpoint_id>", methods=["PATCH"])
@needs("write")
@blueprint.arguments(EndpointChange)
@blueprint.response(200, EndpointOutput)
def change_endpoint(change: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """Change an endpoint

    Its address, its filter or its description; what is left out stays.
    """
    with deps().open_work(current_caller().merchant_id) as work:
        changed = open_desk(work).change(endpoint_id, change)
        work.commit()
    return _show(changed)


@blueprint.route("/<uuid:endpoint_id>", methods=["DELETE"])
@needs("write")
@blueprint.response(204)
def delete_endpoint(endpoint_id: UUID) -> None:
    """Delete an endpoint

    Nothing more is sent to it, not even what waits.
    """
    merchant_id = current_caller().merchant_id
    with deps().open_work(merchant_id) as work:
        work.endpoints.delete(merchant_id, endpoint_id, deps().clock())
        work.commit()


@blueprint.route("/<uuid:endpoint_id>/rotate-secret", methods=["POST"])
@needs("write")
@blueprint.arguments(RotationInput)
@blueprint.response(200, NewEndpointOutput)
def rotate_endpoint_secret(wanted: dict[str, Any], endpoint_id: UUID) -> Response:
    """Give an endpoint a new secret

    Until the grace period ends every notification carries a signature of each of the two.
    """

    def perform(work: MerchantWork) -> Made:
        secret = open_desk(work).rotate(endpoint_id, timedelta(hours=wanted["grace_hours"]))
        return Made(endpoint_id, body=_show_new(work, endpoint_id, secret), holds_secret=True)

    return once(perform, status=200)


@blueprint.route("/<uuid:endpoint_id>/enable", methods=["POST"])
@needs("write")
@blueprint.response(200, EndpointOutput)
def enable_endpoint(endpoint_id: UUID) -> Response:
    """Enable an endpoint that was disabled

    What it missed meanwhile can be replayed.
    """
    refuse_body()
    merchant_id = current_caller().merchant_id

    def perform(work: MerchantWork) -> Made:
        work.endpoints.enable(merchant_id, endpoint_id, deps().clock())
        written: dict[str, Any] = EndpointOutput().dump(_show(work.endpoints.get(merchant_id, endpoint_id)))
        return Made(endpoint_id, body=written)

    return once(perform, status=200)


def open_desk(work: MerchantWork) -> EndpointDesk:
    """The caller's endpoints in this transaction."""
    need = deps()
    return EndpointDesk(work, current_caller().merchant_id, need.sealer, need.allow_loopback_endpoints, need.clock())


def _show(endpoint: Endpoint) -> dict[str, Any]:
    status = "disabled" if endpoint.disabled_at else "failing" if endpoint.failing_since else "active"
    shown = {name: getattr(endpoint, name) for name in EndpointOutput().fields if hasattr(endpoint, name)}
    is_rotating = endpoint.previous_until is not None and endpoint.previous_until > deps().clock()
    return {**shown, "status": status, "previous_secret_until": endpoint.previous_until if is_rotating else None}


def _show_new(work: MerchantWork, endpoint_id: UUID, secret: str) -> dict[str, Any]:
    shown = _show(work.endpoints.get(current_caller().merchant_id, endpoint_id))
    written: dict[str, Any] = NewEndpointOutput().dump(shown | {"secret": secret})
    return written
