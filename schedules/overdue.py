"""When an open payment has been open for too long. Its PSP knows better than a webhook that did not come."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from models.open_payments import OpenPayment, OpenPayments, OverdueRules
from models.states import Method

MOST_AT_ONCE = 200
RULES = OverdueRules(
    after_expiry=timedelta(minutes=30),
    after_creation={
        Method.CARD: timedelta(minutes=30),
        Method.SPEI: timedelta(hours=4),
        Method.OXXO: timedelta(days=4),  # the usual three days, and one for the store's report
        Method.CRYPTO_ONRAMP: timedelta(hours=2),
        Method.UNKNOWN: timedelta(hours=2),
    },
    in_processing=timedelta(hours=1),
    share_of_age=0.25,
    shortest_pause=timedelta(minutes=10),
    longest_pause=timedelta(hours=24),
)


def list_overdue(
    payments: OpenPayments,
    psp: str,
    account: str,
    now: datetime,
    limit: int = MOST_AT_ONCE,
    rules: OverdueRules = RULES,
) -> Sequence[OpenPayment]:
    """The open payments of this account that its PSP is to be asked about now, at most `limit`.

    Whoever asks writes it to payment_checks, also where the PSP does not know the payment: it is asked about again only
    after a pause that grows with the payment's age.
    """
    return payments.list_overdue(psp, account, now, limit, rules)
