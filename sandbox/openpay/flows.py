"""The life cycles of an Openpay charge. A webhook is only a hint: what is fetched is the charge as it is by then."""

from models.states import PaymentState
from sandbox.payment import Flow, Step

CREATED = Step("charge.created", "in_progress")
PAID = Step("charge.succeeded", "completed", received=100)
EXPIRED = Step("transaction.expired", "cancelled", detail="expired")
CANCELED = Step("charge.cancelled", "cancelled")
DISPUTED = Step("chargeback.created", "chargeback_pending")

FLOWS: dict[str, Flow] = {
    "oxxo.paid": Flow("oxxo", PaymentState.COMPLETED, (CREATED, PAID)),
    "oxxo.expired": Flow("oxxo", PaymentState.EXPIRED, (CREATED, EXPIRED)),
    # A voucher that ran out may be told as canceled; its deadline says which it was.
    "oxxo.expired_as_canceled": Flow(
        "oxxo", PaymentState.EXPIRED, (CREATED, Step("charge.cancelled", "cancelled", detail="expired"))
    ),
    "oxxo.paid_late": Flow("oxxo", PaymentState.COMPLETED, (CREATED, EXPIRED, PAID)),
    "oxxo.canceled": Flow("oxxo", PaymentState.CANCELED, (CREATED, CANCELED)),
    "spei.paid": Flow("spei", PaymentState.COMPLETED, (CREATED, PAID)),
    "spei.expired": Flow("spei", PaymentState.EXPIRED, (CREATED, EXPIRED)),
    "card.paid": Flow("card", PaymentState.COMPLETED, (PAID,)),
    "card.declined": Flow("card", PaymentState.FAILED, (Step("charge.failed", "failed", detail="3001"),)),
    "card.waiting_for_3ds": Flow("card", PaymentState.PENDING, (Step("charge.created", "charge_pending"),)),
    "card.authorized_then_captured": Flow("card", PaymentState.COMPLETED, (CREATED, PAID)),
    "card.authorized_then_canceled": Flow("card", PaymentState.CANCELED, (CREATED, CANCELED)),
    "card.refunded": Flow("card", PaymentState.REFUNDED, (PAID, Step("charge.refunded", "completed", refunded=100))),
    "card.partially_refunded": Flow(
        "card", PaymentState.PARTIALLY_REFUNDED, (PAID, Step("charge.refunded", "completed", refunded=40))
    ),
    "card.refunded_in_two": Flow(
        "card",
        PaymentState.REFUNDED,
        (PAID, Step("charge.refunded", "completed", refunded=40), Step("charge.refunded", "completed", refunded=100)),
    ),
    "card.disputed": Flow("card", PaymentState.DISPUTED, (PAID, DISPUTED)),
    "card.disputed_won": Flow(
        "card", PaymentState.COMPLETED, (PAID, DISPUTED, Step("chargeback.rejected", "completed"))
    ),
    "card.disputed_lost": Flow(
        "card", PaymentState.DISPUTED, (PAID, DISPUTED, Step("chargeback.accepted", "chargeback_accepted"))
    ),
}
