"""The life cycles of a MoonPay buy."""

from models.states import PaymentState
from sandbox.moonpay.objects import TINY
from sandbox.payment import Flow, Step

CREATED = Step("transaction_created", "waitingPayment")
AUTHORIZING = Step("transaction_updated", "waitingAuthorization")
PROCESSING = Step("transaction_updated", "pending")
COMPLETED = Step("transaction_updated", "completed", received=100)
CHECKED = Step("identity_check_updated")


def _failed(detail: str) -> Step:
    return Step("transaction_failed", "failed", detail=detail)


FLOWS: dict[str, Flow] = {
    "crypto.bought": Flow("crypto", PaymentState.COMPLETED, (CREATED, PROCESSING, COMPLETED)),
    "crypto.bought_by_card": Flow("crypto", PaymentState.COMPLETED, (CREATED, AUTHORIZING, PROCESSING, COMPLETED)),
    "crypto.bought_after_check": Flow("crypto", PaymentState.COMPLETED, (CREATED, CHECKED, PROCESSING, COMPLETED)),
    # The first message may come when all is over.
    "crypto.created_completed": Flow(
        "crypto", PaymentState.COMPLETED, (Step("transaction_created", "completed", received=100),)
    ),
    # So little crypto that its amount is written with an exponent.
    "crypto.float_amounts": Flow(
        "crypto",
        PaymentState.COMPLETED,
        (CREATED, Step("transaction_updated", "completed", received=100, detail=TINY)),
    ),
    "crypto.failed": Flow(
        "crypto", PaymentState.FAILED, (CREATED, PROCESSING, _failed("payment_authorization_declined"))
    ),
    "crypto.failed_without_reason": Flow("crypto", PaymentState.FAILED, (CREATED, _failed(""))),
    "crypto.expired": Flow("crypto", PaymentState.EXPIRED, (CREATED, _failed("timeout_bank_transfer"))),
    "crypto.canceled": Flow("crypto", PaymentState.CANCELED, (CREATED, PROCESSING, _failed("cancelled"))),
    "crypto.refunded": Flow(
        "crypto",
        PaymentState.REFUNDED,
        (CREATED, PROCESSING, Step("transaction_failed", "failed", received=100, refunded=100, detail="refund")),
    ),
}
