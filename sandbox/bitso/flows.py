"""The life cycles at Bitso. A one-time payment is told twice, as itself and as the deposit of its money, and counts once."""

from models.states import PaymentState
from sandbox.payment import Flow, Step

ASKED = Step("spei_payment", "PENDING")
# The deposit of a one-time payment; the payment's own status does not change by it.
ARRIVING, ARRIVED = Step("funding", detail="pending"), Step("funding", detail="complete")
# As documented, without the CLABE that it came to.
ARRIVING_SOMEWHERE = Step("funding", detail="pending without_clabe")
ARRIVED_SOMEWHERE = Step("funding", detail="complete without_clabe")
PAID = Step("spei_payment", "COMPLETED", received=100)
EXPIRED = Step("spei_payment", "EXPIRED")

DEPOSIT_SEEN = Step("funding", "pending")
DEPOSITED = Step("funding", "complete", received=100)
REJECTED = Step("funding", "failed")
CONFIRMED = Step("funding", "complete")  # crypto: how much it is in money is not told

SENT = Step("withdrawal", "pending")
ON_ITS_WAY = Step("withdrawal", "processing")
SETTLED = Step("withdrawal", "complete", received=100)
REFUSED = Step("withdrawal", "failed", detail="Cuenta inexistente")
BACK = Step("return", received=100)
# By nothing but the tracking key of the payout.
BACK_NAMELESS = Step("return", received=100, detail="nameless")

FLOWS: dict[str, Flow] = {
    "spei.paid": Flow("spei", PaymentState.COMPLETED, (ASKED, ARRIVING, ARRIVED, PAID)),
    "spei.paid_before_deposit_told": Flow("spei", PaymentState.COMPLETED, (ASKED, PAID, ARRIVED)),
    "spei.paid_without_clabe_told": Flow(
        "spei", PaymentState.COMPLETED, (ASKED, ARRIVING_SOMEWHERE, ARRIVED_SOMEWHERE, PAID)
    ),
    "spei.expired": Flow("spei", PaymentState.EXPIRED, (ASKED, EXPIRED)),
    "spei.deposit_to_main_clabe": Flow("deposit", PaymentState.COMPLETED, (DEPOSIT_SEEN, DEPOSITED)),
    "spei.deposit_told_once": Flow("deposit", PaymentState.COMPLETED, (DEPOSITED,)),
    "spei.deposit_rejected": Flow("deposit", PaymentState.FAILED, (DEPOSIT_SEEN, REJECTED)),
    "spei.deposit_to_client_clabe": Flow("clabe", PaymentState.COMPLETED, (DEPOSIT_SEEN, DEPOSITED)),
    "spei.payout_settled": Flow("payout", PaymentState.COMPLETED, (SENT, ON_ITS_WAY, SETTLED)),
    "spei.payout_refused": Flow("payout", PaymentState.FAILED, (SENT, REFUSED)),
    "spei.payout_returned": Flow("payout", PaymentState.RETURNED, (SENT, SETTLED, BACK)),
    "spei.payout_returned_by_tracking_key": Flow("payout", PaymentState.RETURNED, (SENT, SETTLED, BACK_NAMELESS)),
    "spei.payout_refused_and_returned": Flow("payout", PaymentState.RETURNED, (SENT, REFUSED, BACK)),
    "crypto.deposit": Flow("crypto", PaymentState.COMPLETED, (DEPOSIT_SEEN, CONFIRMED)),
    "wallet.paid": Flow(
        "wallet",
        PaymentState.COMPLETED,
        (
            Step("payment_intent", "CREATED"),
            Step("payment_intent", "PENDING"),
            Step("payment_intent", "PROCESSING"),
            Step("payment_intent", "COMPLETED", received=100),
        ),
    ),
    "wallet.expired": Flow(
        "wallet", PaymentState.EXPIRED, (Step("payment_intent", "CREATED"), Step("payment_intent", "EXPIRED"))
    ),
}
