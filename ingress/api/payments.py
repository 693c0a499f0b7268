"""/v1/payments: make, find and understand payments."""

from collections.abc import Mapping
from functools import partial
from typing import Any
from uuid import UUID

from flask import Response

from ingress.api.callers import current_caller, needs
from ingress.api.cursors import read_cursor, write_cursor
from ingress.api.dependencies import deps
from ingress.api.idempotency import Made, once
from ingress.api.parsing import Blueprint
from ingress.api.payment_schemas import PaymentInput, PaymentOutput, PaymentPage, PaymentQuery
from ingress.api.ringing import ring_asked
from ingress.asking import ask_payment
from ingress.choosing import choose_account
from models.merchant_payments import PaymentFilters
from models.merchant_work import MerchantWork
from models.reading import Row
from models.states import AttemptStatus, Method
from psps.outbound import CreateRequest, Payer

SETTLED = (AttemptStatus.DONE, AttemptStatus.REFUSED)

blueprint = Blueprint("payments", __name__, url_prefix="/v1/payments", description="Payments and where they stand")


@blueprint.route("", methods=["POST"])
@needs("write")
@blueprint.arguments(PaymentInput)
@blueprint.response(202, PaymentOutput)
def create_payment(wanted: dict[str, Any]) -> Response:
    """Make a payment

    Answered when the PSP has answered, or after 2 seconds without: then `creation.status` is not `done` yet, and the
    payment can be read again. Send an `Idempotency-Key`, so that a lost answer costs no second payment.
    """
    need, caller = deps(), current_caller()

    def perform(work: MerchantWork) -> Made:
        method, psp, account = Method(wanted["method"]), wanted.get("psp"), wanted.get("account")
        chosen = choose_account(need.accounts, need.routes, method, psp, account)
        payer_reference = wanted.get("payer", {}).get("reference")
        asked = ask_payment(work, chosen, _write_request(wanted), need.clock(), caller.merchant_id, payer_reference)
        at_first = _write_payment(work.own_payments.get(asked.payment_id))
        return Made(asked.payment_id, partial(ring_asked, asked), at_first=at_first)

    return once(perform, _wait_for_payment, status=202)


@blueprint.route("", methods=["GET"])
@needs("read")
@blueprint.arguments(PaymentQuery, location="query")
@blueprint.response(200, PaymentPage)
def list_payments(query: dict[str, Any]) -> dict[str, Any]:
    """List payments

    The newest first, page by page. Pages stay as they are while payments are added: a page begins where the one before
    ended.
    """
    limit = query.pop("limit")
    cursor = read_cursor(query.pop("cursor", None))
    with deps().open_work(current_caller().merchant_id) as work:
        rows = work.own_payments.list(PaymentFilters(**query), cursor, limit + 1)
    more = len(rows) > limit
    return {
        "payments": [show_payment(row) for row in rows[:limit]],
        "next_cursor": write_cursor((rows[limit - 1]["created_at"], rows[limit - 1]["id"])) if more else None,
    }


@blueprint.route("/<uuid:payment_id>", methods=["GET"])
@needs("read")
@blueprint.response(200, PaymentOutput)
def get_payment(payment_id: UUID) -> dict[str, Any]:
    """Read a payment

    As it stands now, with what the payer needs in order to pay and how far the PSP is with making it. Send the `ETag` that you
    have as `If-None-Match`, and the answer is 304 while nothing has changed.
    """
    with deps().open_work(current_caller().merchant_id) as work:
        return show_payment(work.own_payments.get(payment_id))


def show_payment(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the repository as the schema names things."""
    crypto = {name: row[f"crypto_{name}"] for name in ("asset", "network", "base_units", "scale", "tx_hash")}
    creation = {"status": row.get("attempt_status"), "error_code": row.get("attempt_error_code")}
    return {
        **row,
        "reference": row["merchant_reference"],
        "crypto": crypto if row["crypto_asset"] else None,
        "creation": creation if creation["status"] else None,
    }


def _wait_for_payment(payment_id: UUID) -> dict[str, Any]:
    need, merchant_id = deps(), current_caller().merchant_id

    def look() -> Row:
        with need.open_work(merchant_id) as work:
            return work.own_payments.get(payment_id)

    return _write_payment(need.waiting.wait_for(look, lambda row: row["attempt_status"] in SETTLED))


def _write_payment(row: Row) -> dict[str, Any]:
    written: dict[str, Any] = PaymentOutput().dump(show_payment(row))
    return written


def _write_request(wanted: dict[str, Any]) -> CreateRequest:
    """Without the reference and the key, which are made with the payment."""
    payer, crypto = wanted.get("payer", {}), wanted.get("crypto", {})
    return CreateRequest(
        reference="",
        idempotency_key="",
        method=Method(wanted["method"]),
        amount_minor=wanted["amount_minor"],
        currency=wanted["currency"],
        description=wanted.get("description", ""),
        merchant_reference=wanted.get("reference"),
        expires_at=wanted.get("expires_at"),
        payer=Payer(name=payer.get("name"), email=payer.get("email"), phone=payer.get("phone")),
        card_token=wanted.get("card_token"),
        return_url=wanted.get("return_url"),
        crypto_asset=crypto.get("asset"),
        crypto_network=crypto.get("network"),
        wallet_address=crypto.get("wallet_address"),
    )
