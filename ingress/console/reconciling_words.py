"""What the pages about reconciliation call things. Spanish is in spanish_reconciling; what is not here is shown as it is."""

from ingress.console.state_words import STATES
from models.states import Difference, EvidenceKind, Healing, RunKind, RunStatus

KINDS = {
    Difference.MISSING_HERE.value: "Missing here",
    Difference.MISSING_THERE.value: "Missing there",
    Difference.STATE.value: "State or money received",
    Difference.AMOUNT.value: "Amount or fee",
    Difference.CURRENCY.value: "Currency",
    Difference.DUPLICATE_THERE.value: "Second payment there",
    Difference.LATE.value: "Settlement overdue",
    Difference.OPERATING_DATE.value: "Operating date",
    Difference.MODE.value: "Test or live mode",
    "illegal_move": "A move that is not possible",
    "underpaid": "Less was paid",
    "overpaid": "More was paid",
    "amount_mismatch": "Another amount",
    "currency_mismatch": "Another currency",
    "received_mismatch": "Another sum received",
    "refund_exceeds_received": "More refunded than received",
}
EXPLAINED = {
    Difference.MISSING_HERE.value: "The PSP has a payment that we do not.",
    Difference.MISSING_THERE.value: "We have a payment that the PSP does not know.",
    Difference.STATE.value: "State, received or refunded money is not the same on both sides.",
    Difference.AMOUNT.value: "What was asked for, or the fee, is not the same on both sides.",
    Difference.CURRENCY.value: "The two sides name different currencies.",
    Difference.DUPLICATE_THERE.value: "The PSP has a second payment that looks like one of ours.",
    Difference.LATE.value: "Money that should have been settled by now is not.",
    Difference.OPERATING_DATE.value: "The two sides have it on different operating dates.",
    Difference.MODE.value: "Test money in a live account, or the other way round.",
}
REFUSED_BY_THE_DOOR = "The PSP sent an event that was refused as things stood: nothing was changed by it."
HEALINGS = {
    Healing.NONE.value: "for a person to decide",
    Healing.PROPOSED.value: "waits for approval",
    Healing.SENT.value: "being healed",
    Healing.REFUSED.value: "its healing was refused",
}
CLOSED = {
    "healed": "healed",
    "dismissed": "dismissed",
    "equal again": "equal again",
    "otherwise by now": "otherwise by now",
    "settled": "settled",
    "explained by an event that came later": "explained by an event that came later",
}
WITNESSES = {
    EvidenceKind.PSP.value: "the PSP",
    EvidenceKind.CEP.value: "Banxico (CEP)",
    EvidenceKind.SETTLEMENT.value: "the settlement report",
}
RUN_KINDS = {
    RunKind.CONTINUOUS.value: "by the clock",
    RunKind.EARLY.value: "early: the PSP went quiet",
    RunKind.DAY.value: "a whole day",
}
RUN_STATUSES = {
    RunStatus.RUNNING.value: "running",
    RunStatus.DONE.value: "done",
    RunStatus.FAILED.value: "failed",
}
FIELDS = {
    "state": "State",
    "kind": "Said",
    "amount_minor": "Amount",
    "received_minor": "Got",
    "refunded_minor": "Refunded",
    "disputed_minor": "Disputed",
    "fee_minor": "Fee",
    "currency": "Currency",
    "method": "Method",
    "direction": "Direction",
    "livemode": "Live mode",
    "operating_day": "Operating date",
    "account_day": "Account day",
    "created_at": "Made",
    "changed_at": "Changed",
    "expires_at": "Expires",
    "available_at": "Settles",
    "due_day": "Due to be settled",
    "line_key": "Line of the report",
}
OBSTACLES = {
    "no_banking_day": "It is no banking day",
    "not_begun": "The day has not begun",
    "not_over": "The day is not over",
    "not_reconciled": "The whole day was not compared since its end",
    "not_compared": "Not everything was compared",
    "open_differences": "Differences are open",
    "events_received": "Deliveries are not processed yet",
    "events_hint": "Deliveries wait for the PSP's answer",
    "events_parked": "Deliveries are parked",
    "events_conflict": "Deliveries are in conflict",
    "attempts_unsettled": "Calls are not settled",
    "out_of_order": "Later days are closed already",
    "day_before_open": "A day before it is open",
    "past_the_calendar": "The banking calendar does not reach so far",
    "closed_already": "It is closed already",
}
TABLES = {
    "kinds": KINDS,
    "explained": EXPLAINED,
    "healings": HEALINGS,
    "closed": CLOSED,
    "witnesses": WITNESSES,
    "run_kinds": RUN_KINDS,
    "run_statuses": RUN_STATUSES,
    "obstacles": OBSTACLES,
    **STATES,
}


def name_word(word: str | None, table: str) -> str:
    """What the pages call a word of this table, in English."""
    return TABLES[table].get(word or "", word or "")
