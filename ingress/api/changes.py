"""/v1/payments/{id}/refunds and /cancel: what is asked of the PSP about a payment that it has made."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from ingress.api.callers import current_caller, needs
from ingress.api.dependencies import deps
from ingress.api.idempotency import Made, once
from ingress.api.parsing import Blueprint, refuse_body
from ingress.api.payment_schemas import ChangeOutput, RefundInput
from ingress.api.payments import SETTLED
from ingress.api.ringing import ring_asked
from ingress.asking import Asked, ask_cancel, ask_refund
from models.merchant_work import MerchantWork
from models.reading import Row

blueprint = Blueprint("changes", __name__, url_prefix="/v1/payments", description="Refunds and cancelations")


@blueprint.route("/<uuid:payment_id>/refunds", methods=["POST"])
@needs("refund")
@blueprint.arguments(RefundInput)
@blueprint.response(202, ChangeOutput)
def refund_payment(wanted: dict[str, Any], payment_id: UUID) -> Response:
    """Give money back

    A part, or without `amount_minor` all that is left; never more than was received. Where the rail has no way back,
    the answer is 409 and says how to pay back. Answered when the PSP has answered, or after 2 seconds without.
    """
    merchant_id, now = current_caller().merchant_id, deps().clock()
    amount, reason = wanted.get("amount_minor"), wanted["reason"]
    return _change(lambda work: ask_refund(work, str(payment_id), amount, now, reason, merchant_id))


@blueprint.route("/<uuid:payment_id>/cancel", methods=["POST"])
@needs("write")
@blueprint.response(202, ChangeOutput)
def cancel_payment(payment_id: UUID) -> Response:
    """Call a payment off before it is paid

    Whether that is still possible the PSP decides: `status` is `refused` where it was not.
    """
    refuse_body()
    merchant_id, now = current_caller().merchant_id, deps().clock()
    return _change(lambda work: ask_cancel(work, str(payment_id), now, merchant_id))


def _change(ask: Callable[[MerchantWork], Asked]) -> Response:
    def perform(work: MerchantWork) -> Made:
        asked = ask(work)
        at_first = _write_change(work.own_payments.attempt_of(asked.attempt_id))
        return Made(asked.attempt_id, partial(ring_asked, asked), at_first=at_first)

    return once(perform, _wait_for_change, status=202)


def _wait_for_change(attempt_id: UUID) -> dict[str, Any]:
    need, merchant_id = deps(), current_caller().merchant_id

    def look() -> Row:
        with need.open_work(merchant_id) as work:
            return work.own_payments.attempt_of(attempt_id)

    return _write_change(need.waiting.wait_for(look, lambda row: row["status"] in SETTLED))


def _write_change(row: Row) -> dict[str, Any]:
    written: dict[str, Any] = ChangeOutput().dump(row)
    return written
