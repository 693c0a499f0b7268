"""What the timeline says, in English. Pure data; ingress/api/wording.py tells what each of these is."""

from collections.abc import Mapping

from models.states import AttemptStatus, DeliveryStatus, EventKind, Operation, Outcome, PaymentState, Source

STATES: Mapping[str, str] = {
    PaymentState.PENDING: "pending",
    PaymentState.PROCESSING: "in process",
    PaymentState.COMPLETED: "completed",
    PaymentState.FAILED: "failed",
    PaymentState.EXPIRED: "expired",
    PaymentState.CANCELED: "canceled",
    PaymentState.PARTIALLY_REFUNDED: "partially refunded",
    PaymentState.REFUNDED: "refunded",
    PaymentState.DISPUTED: "disputed",
    PaymentState.RETURNED: "returned",
}
STAYS = "the payment stays {state}"
BECOMES = "the payment is now {state}"
NOTHING_CHANGED = "nothing changed"

REPORTS: Mapping[str, str] = {
    Source.WEBHOOK: "the payment provider reported {news}",
    Source.SUBMISSION: "the payment provider answered our request, saying {news}",
    Source.FETCH: "when asked, the payment provider said {news}",
    Source.RECONCILIATION: "the payment provider's own list says {news}",
}
NEWS: Mapping[str, str] = {
    EventKind.PENDING: "that the payment is registered and has not been paid yet",
    EventKind.PARTIALLY_FUNDED: "that only a part of the amount has arrived so far",
    EventKind.PROCESSING: "that the payment is in process",
    EventKind.FAILED: "that the payment failed",
    EventKind.EXPIRED: "that the payment expired",
    EventKind.CANCELED: "that the payment was canceled",
    EventKind.COMPLETED: "that the payment was completed",
    EventKind.REFUNDED: "that money was refunded",
    EventKind.REFUND_FAILED: "that a refund did not reach the payer",
    EventKind.DISPUTE_INQUIRY: "that the payer's bank asked about the payment",
    EventKind.DISPUTED: "that the payer's bank disputed the payment",
    EventKind.DISPUTE_WON: "that a dispute was decided in your favor",
    EventKind.DISPUTE_LOST: "that a dispute was decided in favor of the payer",
    EventKind.RETURNED: "that the money was sent back",
}
REFUNDED_TOTAL = "how much of the payment is refunded"

REMARKS: Mapping[str, str] = {
    "implied": "This proves that the payment had been completed, although no report had said so.",
    "late_payment": "The payment had expired; the money, or the report of it, came afterwards.",
    "new_attempt": "An earlier attempt had failed; this one succeeded.",
    "reordered": "The report came late, so the history was put in order again: {standing}.",
    "dispute_over": "The dispute is over: {standing}.",
    "noted": "This deserves your attention, although {standing}.",
    "adopted": "The payment was recorded because of this report; it had not been requested here.",
}
UNCHANGED: Mapping[str, str] = {
    Outcome.DUPLICATE: "That was known already: {standing}.",
    Outcome.STALE: "This is older than what was known already: {standing}.",
    Outcome.UNMATCHED: "It fits no payment that is recorded here: {standing}.",
}
REFUSED = "This was not applied because {cause}; {standing}, and the case is under review."
CAUSES: Mapping[str, str] = {
    "amount_mismatch": "the amount is not that of this payment",
    "currency_mismatch": "the currency is not that of this payment",
    "underpaid": "less money arrived than was asked for",
    "overpaid": "more money arrived than was asked for",
    "received_mismatch": "the amount received is not the one that was known",
    "refund_exceeds_received": "more would be refunded than was received",
    "illegal_move": "the state of the payment does not allow it",
}
ANY_CAUSE = "it contradicts what is known about the payment"

REQUESTS: Mapping[str, str] = {
    Operation.CREATE: "the request to create the payment",
    Operation.REFUND: "the request for a refund",
    Operation.CANCEL: "the request to cancel the payment",
}
ATTEMPTS: Mapping[str, str] = {
    AttemptStatus.READY: "{request} waits to be sent to the payment provider",
    AttemptStatus.SENDING: "{request} is being sent to the payment provider",
    AttemptStatus.UNKNOWN: "{request} was sent, but what became of it is not known yet. The payment provider is being "
    "asked, and the request is not sent again until that is clear",
    AttemptStatus.DONE: "{request} was accepted by the payment provider",
    AttemptStatus.REFUSED: "{request} was refused",
}
SENT_AGAIN = "{request} could not be carried out so far and will be sent again"
REFUSED_WITH_CODE = "with the code “{code}”"
REFUSALS: Mapping[str, str] = {
    "not_offered": "This payment provider does not offer that.",
    "not_refundable": "The payment provider cannot refund a payment that is in this state.",
    "not_cancelable": "The payment provider cannot cancel a payment that is in this state.",
    "invalid_clabe": "The CLABE is missing or has a wrong check digit.",
    "unknown_bank": "The CLABE is of no bank that can be paid.",
    "invalid_currency": "It cannot be done in this currency.",
    "beneficiary_missing": "The name of the account's owner is missing.",
    "crypto_asset_missing": "The crypto asset to be bought is missing.",
    "other_collector": "The payment belongs to another account of the payment provider.",
    "too_many_pages": "There are too many payments to find the right one.",
}

NOTIFICATIONS: Mapping[str, tuple[str, str, str]] = {
    DeliveryStatus.PENDING: (
        "The notification waits to be sent for the first time.",
        "The first attempt to notify failed ({answer}); another one follows.",
        "{attempts} attempts to notify failed (the last: {answer}); another one follows.",
    ),
    DeliveryStatus.DELIVERED: (
        "The notification was delivered.",
        "The notification was delivered at the first attempt.",
        "The notification was delivered after {attempts} attempts.",
    ),
    DeliveryStatus.FAILED: (
        "The notification was given up.",
        "The notification was given up after one attempt ({answer}).",
        "The notification was given up after {attempts} attempts (the last: {answer}).",
    ),
    DeliveryStatus.SKIPPED: ("The notification was not delivered: its endpoint was disabled or deleted.",) * 3,
}
ANSWERED = "HTTP {status}"
NOT_ANSWERED = "no answer"
