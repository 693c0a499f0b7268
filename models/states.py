"""The closed vocabularies of Acuse: what a payment can be, what an event can mean, what a decision can be.

Everything here is plain data; every other room may import it.
"""

from enum import StrEnum


class PaymentState(StrEnum):
    """Where a payment stands. The legal moves between these are in workers/state_machine.py."""

    PENDING = "pending"  # known; the payer has not paid yet
    PROCESSING = "processing"  # the PSP has something in hand but has not confirmed it
    COMPLETED = "completed"  # the money is ours
    FAILED = "failed"  # this attempt was refused; another one may follow
    EXPIRED = "expired"  # the voucher or reference ran out
    CANCELED = "canceled"  # called off before any money moved
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"  # the payer's bank has taken the money back, perhaps for good
    RETURNED = "returned"  # SPEI devolucion, or cash taken back by the store


class EventKind(StrEnum):
    """What a PSP's message means, whatever the PSP calls it."""

    PENDING = "pending"  # created, or payment instructions were issued
    PARTIALLY_FUNDED = "partially_funded"  # less than asked for has arrived so far
    PROCESSING = "processing"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELED = "canceled"
    COMPLETED = "completed"
    REFUNDED = "refunded"  # carries the cumulative amount refunded so far
    REFUND_FAILED = "refund_failed"  # one refund (refund_ref, refund_minor) did not reach the payer
    DISPUTE_INQUIRY = "dispute_inquiry"  # a question, no money taken
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    DISPUTE_LOST = "dispute_lost"
    RETURNED = "returned"


class Outcome(StrEnum):
    """The decision about one payment event. Every decision is one row of transitions."""

    APPLIED = "APPLIED"  # it changed the payment
    DUPLICATE = "DUPLICATE"  # it says what is already known
    STALE = "STALE"  # it is older than what is known and changes nothing
    FORBIDDEN = "FORBIDDEN"  # the table or a money check refuses it; a discrepancy is opened
    UNMATCHED = "UNMATCHED"  # no payment of ours fits it


class InboxStatus(StrEnum):
    """The life of an inbox event. RECEIVED and HINT are unfinished; PARKED and CONFLICT wait for a person."""

    RECEIVED = "received"
    HINT = "hint"  # understood: the payment has to be fetched from the PSP
    PROCESSED = "processed"
    IGNORED = "ignored"
    PARKED = "parked"
    CONFLICT = "conflict"


class Source(StrEnum):
    """How an inbox event came to us."""

    WEBHOOK = "webhook"
    SUBMISSION = "submission"
    FETCH = "fetch"
    RECONCILIATION = "reconciliation"


class Operation(StrEnum):
    """What an attempt asks a PSP to do."""

    CREATE = "create"
    REFUND = "refund"
    CANCEL = "cancel"


class AttemptStatus(StrEnum):
    """The life of an attempt. DONE and REFUSED are final."""

    READY = "ready"  # certain not to have been done yet: it may be sent
    SENDING = "sending"  # written before the call; who finds it so later does not know what became of the call
    UNKNOWN = "unknown"  # it may have been done: a query settles it
    DONE = "done"
    REFUSED = "refused"


class Method(StrEnum):
    """How the payer pays."""

    OXXO = "oxxo"  # OXXO Pay and other cash vouchers
    SPEI = "spei"
    CARD = "card"
    CRYPTO_ONRAMP = "crypto_onramp"
    UNKNOWN = "unknown"


class Direction(StrEnum):
    """Whether money comes to us or leaves us."""

    IN = "in"
    OUT = "out"


class Origin(StrEnum):
    """Who made the payment row: a merchant's request, or an event about a payment we did not know."""

    API = "api"
    WEBHOOK = "webhook"


class Decision(StrEnum):
    """What the receiver answered about the money of an incoming transfer (STP decides by our answer)."""

    ACCEPT = "accept"
    RETURN = "return"


class DeliveryStatus(StrEnum):
    """The way of a notification to one endpoint."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"  # given up after its last attempt
    SKIPPED = "skipped"  # the endpoint was disabled or deleted meanwhile


class OperatorRole(StrEnum):
    """What an operator may do in the console: look, act, or also say who else may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class OperatorAction(StrEnum):
    """What the log of operators' doings calls them."""

    LOGIN = "operators.login"
    LOGIN_REFUSED = "operators.login_refused"
    CREATE_OPERATOR = "operators.create"
    SET_ROLE = "operators.role"
    RENEW_LOGIN = "operators.password"
    DISABLE_OPERATOR = "operators.disable"
    ENABLE_OPERATOR = "operators.enable"
    REPLAY_EVENTS = "events.replay"
    DISMISS_EVENTS = "events.dismiss"
    START_REPLAY = "replay.start"
    PAUSE_REPLAY = "replay.pause"
    RESUME_REPLAY = "replay.resume"
    STOP_REPLAY = "replay.stop"
    APPROVE_DISCREPANCY = "discrepancies.approve"
    DISMISS_DISCREPANCY = "discrepancies.dismiss"
    REPLAY_NOTIFICATIONS = "notifications.replay"
    ASK_RECONCILIATION = "reconciliation.ask"


class RunKind(StrEnum):
    """Why a reconciliation run was started."""

    CONTINUOUS = "continuous"  # by the clock, since the last safe point
    EARLY = "early"  # the PSP went quiet
    DAY = "day"  # one account day, whole


class RunStatus(StrEnum):
    """The life of a reconciliation run."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # the PSP could not be asked; the next run begins where this one ended


class Difference(StrEnum):
    """The classes of what reconciliation finds."""

    MISSING_HERE = "missing_here"  # the PSP has a payment that we do not
    MISSING_THERE = "missing_there"  # we have a payment that the PSP does not know
    STATE = "state"  # state, or what was received and refunded
    AMOUNT = "amount"  # what was asked for, or the fee
    CURRENCY = "currency"
    DUPLICATE_THERE = "duplicate_there"  # the PSP has a second payment that looks like one of ours
    LATE = "late"  # money that should have been settled by now
    OPERATING_DATE = "operating_date"
    MODE = "mode"  # test money in a live account, or the other way round


class Witness(StrEnum):
    """Who opened a discrepancy."""

    DOOR = "door"
    RECONCILIATION = "reconciliation"


class Healing(StrEnum):
    """What is being done about a difference."""

    NONE = "none"  # it is for a person
    PROPOSED = "proposed"  # it can be healed, if a person approves
    SENT = "sent"  # the PSP's answer is in the inbox
    REFUSED = "refused"  # the one door did not take it


class EvidenceKind(StrEnum):
    """Whose word a piece of evidence is."""

    PSP = "psp"
    CEP = "cep"  # Banxico's proof of a SPEI payment
    SETTLEMENT = "settlement"


class LineKind(StrEnum):
    """What a line of a settlement report is about."""

    PAYMENT = "payment"
    REFUND = "refund"
    DISPUTE = "dispute"
    FEE = "fee"
    PAYOUT = "payout"
    ADJUSTMENT = "adjustment"


class Verification(StrEnum):
    """What today's secrets say of a stored delivery."""

    FITS = "fits"  # one of them made its signature
    RECORDED = "recorded"  # it cannot be asked again, and the key that verified it when it came is still one of them
    OURS = "ours"  # it is an answer to a call of ours, which nobody signs
    ROTATED = "rotated"  # none of them did: the key is gone
    ALTERED = "altered"  # what is stored is not what came
    LOCKED = "locked"  # it is sealed, and its payload key is not here


NEVER_TRUSTED = frozenset({Verification.ALTERED, Verification.LOCKED})  # whoever asks for it, and however


class ReplayState(StrEnum):
    """The life of a run that sets events going again. STOPPED and DONE are final."""

    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    DONE = "done"
