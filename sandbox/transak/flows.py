"""The life cycles of a Transak order. ORDER_FAILED tells three different ends; the status says which."""

from models.states import PaymentState
from sandbox.payment import Flow, Step
from sandbox.transak.objects import AWAITING

CREATED = Step("ORDER_CREATED", AWAITING)
CLAIMED = Step("ORDER_PAYMENT_VERIFYING", "PAYMENT_DONE_MARKED_BY_USER")
PROCESSING = Step("ORDER_PROCESSING", "PROCESSING", received=100)
DELIVERING = Step("ORDER_PROCESSING", "PENDING_DELIVERY_FROM_TRANSAK", received=100)
COMPLETED = Step("ORDER_COMPLETED", "COMPLETED", received=100)

FLOWS: dict[str, Flow] = {
    "crypto.bought": Flow("crypto", PaymentState.COMPLETED, (CREATED, CLAIMED, PROCESSING, DELIVERING, COMPLETED)),
    "crypto.failed": Flow("crypto", PaymentState.FAILED, (CREATED, CLAIMED, Step("ORDER_FAILED", "FAILED"))),
    "crypto.expired": Flow("crypto", PaymentState.EXPIRED, (CREATED, Step("ORDER_FAILED", "EXPIRED"))),
    "crypto.canceled": Flow("crypto", PaymentState.CANCELED, (CREATED, Step("ORDER_FAILED", "CANCELLED"))),
    "crypto.refunded": Flow(
        "crypto",
        PaymentState.REFUNDED,
        (CREATED, CLAIMED, DELIVERING, Step("ORDER_REFUNDED", "REFUNDED", received=100, refunded=100)),
    ),
}
