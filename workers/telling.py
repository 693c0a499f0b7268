"""Which decisions a merchant can see, and what they are called then. Pure."""

from uuid import UUID

from models.notification_bodies import PAYMENT_CREATED, PAYMENT_UPDATED, PaymentChange
from models.states import PaymentState
from models.transitions import NewTransition
from workers.facts import Standing


def find_change(
    merchant_id: UUID, before: Standing, after: Standing, decision: NewTransition, is_new: bool
) -> list[PaymentChange]:
    """The change of state or money that a decision made, if it did, or that the payment is new.

    Its outcome does not matter: an event that came late may be refused, and change what is made of those after it.
    """
    has_moved = before.state is not after.state
    has_paid = (before.received, before.refunded) != (after.received, after.refunded)
    if decision.payment_id is None or not (has_moved or has_paid or is_new):
        return []
    return [
        PaymentChange(
            merchant_id=merchant_id,
            payment_id=decision.payment_id,
            event_type=_name(after.state, has_moved, is_new),
            state=after.state,
            previous_state=before.state if has_moved or not is_new else None,
            amount_minor=after.amount,
            received_minor=after.received,
            refunded_minor=after.refunded,
            currency=after.currency,
            reason=decision.reason,
            occurred_at=decision.occurred_at,
            recorded_at=decision.recorded_at,
        )
    ]


def _name(state: PaymentState, has_moved: bool, is_new: bool) -> str:
    if has_moved:
        return f"payment.{state}"
    return PAYMENT_CREATED if is_new else PAYMENT_UPDATED
