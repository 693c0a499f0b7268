"""The life cycles of a Stripe PaymentIntent."""

from models.states import PaymentState
from sandbox.payment import Flow, Step

CREATED = Step("payment_intent.created", "requires_payment_method")
INSTRUCTED = Step("payment_intent.requires_action", "requires_action")
PROCESSING = Step("payment_intent.processing", "processing")
SUCCEEDED = Step("payment_intent.succeeded", "succeeded", received=100)
CHARGED = Step("charge.succeeded", "succeeded", received=100)
DECLINED = Step("payment_intent.payment_failed", "requires_payment_method", detail="card_declined")
OUT_OF_TIME = Step(
    "payment_intent.payment_failed", "requires_payment_method", detail="payment_intent_payment_attempt_expired"
)
PAID_BY_CARD = (CREATED, PROCESSING, CHARGED, SUCCEEDED)
DISPUTED = Step("charge.dispute.created", detail="needs_response")

FLOWS: dict[str, Flow] = {
    "oxxo.paid": Flow("oxxo", PaymentState.COMPLETED, (CREATED, INSTRUCTED, SUCCEEDED, CHARGED)),
    "oxxo.expired": Flow("oxxo", PaymentState.EXPIRED, (CREATED, INSTRUCTED, OUT_OF_TIME)),
    "oxxo.paid_late": Flow("oxxo", PaymentState.COMPLETED, (CREATED, INSTRUCTED, OUT_OF_TIME, SUCCEEDED)),
    "oxxo.canceled": Flow(
        "oxxo",
        PaymentState.CANCELED,
        (CREATED, INSTRUCTED, Step("payment_intent.canceled", "canceled", detail="requested_by_customer")),
    ),
    "oxxo.checkout_paid": Flow(
        "oxxo",
        PaymentState.COMPLETED,
        (
            INSTRUCTED,
            Step("checkout.session.completed"),
            SUCCEEDED,
            Step("checkout.session.async_payment_succeeded"),
        ),
    ),
    "spei.paid": Flow(
        "spei",
        PaymentState.COMPLETED,
        (
            CREATED,
            INSTRUCTED,
            Step("customer_cash_balance_transaction.created", received=100),
            SUCCEEDED,
        ),
    ),
    "spei.short": Flow(
        "spei", PaymentState.PENDING, (CREATED, INSTRUCTED, Step("payment_intent.partially_funded", received=60))
    ),
    "card.paid": Flow("card", PaymentState.COMPLETED, PAID_BY_CARD),
    "card.one_event": Flow("card", PaymentState.COMPLETED, (SUCCEEDED,)),
    "card.declined": Flow(
        "card",
        PaymentState.FAILED,
        (CREATED, Step("charge.failed", "requires_payment_method", detail="card_declined"), DECLINED),
    ),
    "card.failed_then_paid": Flow("card", PaymentState.COMPLETED, (CREATED, DECLINED, PROCESSING, SUCCEEDED)),
    "card.authorized_then_canceled": Flow(
        "card",
        PaymentState.CANCELED,
        (
            CREATED,
            Step("payment_intent.amount_capturable_updated", "requires_capture"),
            Step("payment_intent.canceled", "canceled", detail="abandoned"),
        ),
    ),
    "card.refunded": Flow(
        "card",
        PaymentState.REFUNDED,
        (*PAID_BY_CARD, Step("refund.created", refunded=100), Step("charge.refunded")),
    ),
    "card.partially_refunded": Flow(
        "card", PaymentState.PARTIALLY_REFUNDED, (*PAID_BY_CARD, Step("charge.refunded", refunded=40))
    ),
    "card.refunded_in_two": Flow(
        "card",
        PaymentState.REFUNDED,
        (*PAID_BY_CARD, Step("charge.refunded", refunded=40), Step("charge.refunded", refunded=100)),
    ),
    "card.disputed_won": Flow(
        "card", PaymentState.COMPLETED, (*PAID_BY_CARD, DISPUTED, Step("charge.dispute.closed", detail="won"))
    ),
    "card.disputed_lost": Flow(
        "card", PaymentState.DISPUTED, (*PAID_BY_CARD, DISPUTED, Step("charge.dispute.closed", detail="lost"))
    ),
    "refund.failed": Flow(
        "card",
        PaymentState.COMPLETED,
        (*PAID_BY_CARD, Step("charge.refunded", refunded=100), Step("refund.failed", refunded=0, detail="failed")),
    ),
}
