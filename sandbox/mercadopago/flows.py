"""The life cycles of a Mercado Pago payment. Its notifications say only that something changed.

There is no late payment: what is paid after the deadline goes to the payer's own account there.
"""

from models.states import PaymentState
from sandbox.payment import Flow, Step

VOUCHER = Step("payment.created", "pending", detail="pending_waiting_payment")
TRANSFER = Step("payment.created", "pending", detail="pending_waiting_transfer")
CREDITED = Step("payment.updated", "approved", received=100, detail="accredited")
EXPIRED = Step("payment.updated", "cancelled", detail="expired")
CALLED_OFF = Step("payment.updated", "cancelled", detail="by_collector")
PAID_BY_CARD = (Step("payment.created", "approved", received=100, detail="accredited"), CREDITED)
PART_BACK = Step("payment.updated", "approved", refunded=40, detail="partially_refunded")
ALL_BACK = Step("payment.updated", "refunded", refunded=100, detail="refunded")
CHARGED_BACK = Step("topic_chargebacks_wh", "charged_back", detail="in_process")

FLOWS: dict[str, Flow] = {
    "oxxo.paid": Flow("oxxo", PaymentState.COMPLETED, (VOUCHER, CREDITED)),
    "oxxo.expired": Flow("oxxo", PaymentState.EXPIRED, (VOUCHER, EXPIRED)),
    "oxxo.canceled": Flow("oxxo", PaymentState.CANCELED, (VOUCHER, CALLED_OFF)),
    "oxxo.refunded": Flow("oxxo", PaymentState.REFUNDED, (VOUCHER, CREDITED, ALL_BACK)),
    "spei.paid": Flow("spei", PaymentState.COMPLETED, (TRANSFER, CREDITED)),
    "spei.expired": Flow("spei", PaymentState.EXPIRED, (TRANSFER, EXPIRED)),
    "spei.canceled": Flow("spei", PaymentState.CANCELED, (TRANSFER, CALLED_OFF)),
    "card.paid": Flow("card", PaymentState.COMPLETED, PAID_BY_CARD),
    "card.one_event": Flow("card", PaymentState.COMPLETED, (CREDITED,)),
    "card.reviewed_then_paid": Flow(
        "card",
        PaymentState.COMPLETED,
        (Step("payment.created", "in_process", detail="pending_review_manual"), CREDITED),
    ),
    "card.declined": Flow(
        "card",
        PaymentState.FAILED,
        (Step("payment.created", "rejected", detail="cc_rejected_insufficient_amount"),),
    ),
    "card.authorized_then_canceled": Flow(
        "card", PaymentState.CANCELED, (Step("payment.created", "authorized", detail="pending_capture"), CALLED_OFF)
    ),
    "card.refunded": Flow("card", PaymentState.REFUNDED, (*PAID_BY_CARD, ALL_BACK)),
    "card.partially_refunded": Flow("card", PaymentState.PARTIALLY_REFUNDED, (*PAID_BY_CARD, PART_BACK)),
    "card.refunded_in_two": Flow("card", PaymentState.REFUNDED, (*PAID_BY_CARD, PART_BACK, ALL_BACK)),
    "card.in_mediation": Flow(
        "card", PaymentState.DISPUTED, (*PAID_BY_CARD, Step("payment.updated", "in_mediation", detail="pending"))
    ),
    "card.disputed_won": Flow(
        "card",
        PaymentState.COMPLETED,
        (*PAID_BY_CARD, CHARGED_BACK, Step("topic_chargebacks_wh", "charged_back", detail="reimbursed")),
    ),
    "card.disputed_lost": Flow(
        "card",
        PaymentState.DISPUTED,
        (*PAID_BY_CARD, CHARGED_BACK, Step("topic_chargebacks_wh", "charged_back", detail="settled")),
    ),
}
