"""The life cycles of SPEI orders at STP. A deposit is settled when it is told; a payout may come back after that."""

from models.states import PaymentState
from sandbox.payment import Flow, Step

SETTLED = Step("cambioEstado", "LQ", detail="Success")  # no amount is told: Acuse knows it from the order it sent

FLOWS: dict[str, Flow] = {
    "spei.deposit": Flow("deposit", PaymentState.COMPLETED, (Step("sendAbono", "LQ", received=100),)),
    "spei.deposit_as_text": Flow(
        "deposit", PaymentState.COMPLETED, (Step("sendAbono", "LQ", received=100, detail="text"),)
    ),
    "spei.deposit_old_contract": Flow(
        "deposit", PaymentState.COMPLETED, (Step("sendAbono", "LQ", received=100, detail="old"),)
    ),
    "spei.own_money_back": Flow("deposit", None, (Step("sendAbono", "LQ", received=100, detail="return"),)),
    "spei.payout_settled": Flow("payout", PaymentState.COMPLETED, (SETTLED,)),
    "spei.payout_settled_uppercase": Flow(
        "payout", PaymentState.COMPLETED, (Step("cambioEstado", "LQ", detail="LIQUIDACION"),)
    ),
    "spei.payout_returned": Flow(
        "payout", PaymentState.RETURNED, (SETTLED, Step("cambioEstado", "D", detail="Refund"))
    ),
    "spei.payout_canceled": Flow("payout", PaymentState.CANCELED, (Step("cambioEstado", "CN", detail="Cancel"),)),
    "spei.payout_refused": Flow("payout", PaymentState.FAILED, (Step("cambioEstado", "RA", detail="Decline"),)),
}
