"""The life cycles of a Conekta order. One payment is told twice: by its order and by its charge."""

from models.states import PaymentState
from sandbox.payment import Flow, Step

CREATED = Step("order.created", "pending_payment")
INSTRUCTED = Step("order.pending_payment", "pending_payment")
CHARGE_PAID = Step("charge.paid", "paid", received=100)
ORDER_PAID = Step("order.paid", "paid", received=100)
EXPIRED = Step("order.expired", "expired")
DECLINED = Step("charge.declined", "declined", detail="insufficient_funds")
PAID_BY_CARD = (CREATED, CHARGE_PAID, ORDER_PAID)
DISPUTED = Step("charge.chargeback.created", detail="action_required")

FLOWS: dict[str, Flow] = {
    "oxxo.paid": Flow("oxxo", PaymentState.COMPLETED, (CREATED, INSTRUCTED, CHARGE_PAID, ORDER_PAID)),
    "oxxo.expired": Flow(
        "oxxo", PaymentState.EXPIRED, (CREATED, INSTRUCTED, Step("charge.expired", "expired"), EXPIRED)
    ),
    "oxxo.paid_late": Flow("oxxo", PaymentState.COMPLETED, (CREATED, INSTRUCTED, EXPIRED, ORDER_PAID)),
    "oxxo.canceled": Flow("oxxo", PaymentState.CANCELED, (CREATED, INSTRUCTED, Step("order.canceled", "canceled"))),
    "cash.reversed": Flow(
        "oxxo", PaymentState.RETURNED, (CREATED, INSTRUCTED, ORDER_PAID, Step("charge.reversed", "reversed"))
    ),
    "spei.paid": Flow("spei", PaymentState.COMPLETED, (CREATED, INSTRUCTED, CHARGE_PAID, ORDER_PAID)),
    "spei.expired": Flow("spei", PaymentState.EXPIRED, (CREATED, INSTRUCTED, EXPIRED)),
    "card.paid": Flow("card", PaymentState.COMPLETED, PAID_BY_CARD),
    "card.one_event": Flow("card", PaymentState.COMPLETED, (ORDER_PAID,)),
    "card.declined": Flow("card", PaymentState.FAILED, (CREATED, DECLINED, Step("order.declined", "declined"))),
    "card.failed_then_paid": Flow("card", PaymentState.COMPLETED, (CREATED, DECLINED, CHARGE_PAID, ORDER_PAID)),
    "card.authorized_then_canceled": Flow(
        "card",
        PaymentState.CANCELED,
        (CREATED, Step("order.pre_authorized", "pre_authorized"), Step("order.voided", "voided")),
    ),
    "card.refunded": Flow(
        "card",
        PaymentState.REFUNDED,
        (*PAID_BY_CARD, Step("charge.refunded", "refunded", refunded=100), Step("order.refunded", "refunded")),
    ),
    "card.partially_refunded": Flow(
        "card",
        PaymentState.PARTIALLY_REFUNDED,
        (*PAID_BY_CARD, Step("order.partially_refunded", "partially_refunded", refunded=40)),
    ),
    "card.refunded_in_two": Flow(
        "card",
        PaymentState.REFUNDED,
        (
            *PAID_BY_CARD,
            Step("order.partially_refunded", "partially_refunded", refunded=40),
            Step("order.refunded", "refunded", refunded=100),
        ),
    ),
    "card.disputed_won": Flow(
        "card", PaymentState.COMPLETED, (*PAID_BY_CARD, DISPUTED, Step("charge.chargeback.won", detail="won"))
    ),
    "card.disputed_lost": Flow(
        "card", PaymentState.DISPUTED, (*PAID_BY_CARD, DISPUTED, Step("charge.chargeback.lost", detail="lost"))
    ),
}
