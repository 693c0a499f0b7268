"""What may be asked of a PSP through us: a payment, a refund, a cancelation. Each is written down; a worker calls.

Whoever commits rings `serve_account` for the account.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from config import PspAccount
from models.merchants import DEFAULT_MERCHANT_ID
from models.requests import Askable, NewAttempt, NewOwnPayment, NotPossible, make_reference
from models.states import Operation, PaymentState
from models.unit_of_work import UnitOfWork
from psps.outbound import CancelRequest, CreateRequest, RefundRequest, request_to_json
from psps.registry import find_cancel_flaw, find_refund_flaw

UNPAID = (PaymentState.PENDING, PaymentState.PROCESSING, PaymentState.FAILED)
TAKEN_BACK = (PaymentState.DISPUTED, PaymentState.RETURNED)


@dataclass(frozen=True, slots=True)
class Asked:
    """What was written down, and whom to ring."""

    payment_id: UUID
    attempt_id: UUID
    psp: str
    account: str
    told: int = 0  # how many notifications of it wait for their delivery


def ask_payment(
    work: UnitOfWork,
    account: PspAccount,
    wanted: CreateRequest,
    now: datetime,
    merchant_id: UUID = DEFAULT_MERCHANT_ID,
    payer_reference: str | None = None,
) -> Asked:
    """A new payment, or payout, at this account. `wanted` needs no reference and no key: they are made here."""
    if not account.can_call:
        raise NotPossible(f"calls to {account.psp}/{account.account} are not configured: set what its client needs")
    if wanted.amount_minor <= 0:
        raise NotPossible("the amount must be more than nothing")
    payment_id = uuid7()
    reference = make_reference(payment_id)
    request = replace(wanted, reference=reference, idempotency_key=reference)
    payment = NewOwnPayment(
        id=payment_id,
        merchant_id=merchant_id,
        psp=account.psp,
        account=account.account,
        method=wanted.method,
        direction=wanted.direction,
        amount_minor=wanted.amount_minor,
        currency=wanted.currency,
        livemode=account.livemode,
        merchant_reference=wanted.merchant_reference,
        description=wanted.description or None,
        payer_reference=payer_reference,
        created_at=now,
    )
    work.requests.add_payment(payment)
    work.search.put_new(merchant_id, payment_id, wanted.merchant_reference, wanted.description, payer_reference)
    attempt = NewAttempt(uuid7(), payment_id, Operation.CREATE, reference, request_to_json(request), None, now)
    work.requests.add(attempt)
    told = work.outbox.add_created(merchant_id, payment_id, now)
    return Asked(payment_id, attempt.id, account.psp, account.account, told)


def ask_refund(
    work: UnitOfWork,
    payment_id: str,
    amount_minor: int | None,
    now: datetime,
    reason: str = "requested_by_customer",
    merchant_id: UUID | None = None,
) -> Asked:
    """A refund of a part, or with None of all that is left, never more than was received. With `merchant_id` only of a
    payment of that merchant. Raises NoSuchPayment, NotPossible."""
    payment = work.requests.lock(payment_id, merchant_id)
    if instead := find_refund_flaw(payment.psp, payment.method):
        raise NotPossible(instead)
    if payment.state in TAKEN_BACK:
        raise NotPossible(f"the payment is {payment.state}: the money has been taken back, and would be given twice")
    amount = payment.refundable_minor if amount_minor is None else amount_minor
    if not 0 < amount <= payment.refundable_minor:
        raise NotPossible(
            f"{amount} cannot be refunded: {payment.refundable_minor} of {payment.received_minor} are left"
        )
    attempt_id = uuid7()
    reference = make_reference(attempt_id)
    request = RefundRequest(_psp_id(payment), reference, reference, amount, payment.currency or "", reason)
    return _add(
        work,
        payment,
        NewAttempt(attempt_id, payment.id, Operation.REFUND, reference, request_to_json(request), amount, now),
    )


def ask_cancel(work: UnitOfWork, payment_id: str, now: datetime, merchant_id: UUID | None = None) -> Asked:
    """Call a payment off before it is paid. Whether that is still possible the PSP knows. With `merchant_id` only one of
    that merchant. Raises NoSuchPayment, NotPossible."""
    payment = work.requests.lock(payment_id, merchant_id)
    if instead := find_cancel_flaw(payment.psp):
        raise NotPossible(instead)
    if payment.state not in UNPAID:
        raise NotPossible(f"the payment is {payment.state}: only what is not paid yet can be called off")
    attempt_id = uuid7()
    reference = make_reference(attempt_id)
    request = CancelRequest(_psp_id(payment), reference)
    return _add(
        work,
        payment,
        NewAttempt(attempt_id, payment.id, Operation.CANCEL, reference, request_to_json(request), None, now),
    )


def _psp_id(payment: Askable) -> str:
    if payment.psp_payment_id is None:
        raise NotPossible("the PSP has not made this payment yet")
    return payment.psp_payment_id


def _add(work: UnitOfWork, payment: Askable, attempt: NewAttempt) -> Asked:
    work.requests.add(attempt)
    return Asked(payment.id, attempt.id, payment.psp, payment.account)
