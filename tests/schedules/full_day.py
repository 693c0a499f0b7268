"""A day as it might be: payments of all kinds, settlement, differences in every class with their stories, a month of trend."""

from datetime import timedelta
from itertools import count

from models.states import Difference
from tests.schedules.books import DAY, END, NOON, START, Books

CLABE = "646180110400000007"  # invented, with a right check digit
NASTY = "pi_<script>alert(1)</script>"
STATES = {
    "completed": 92, "pending": 9, "expired": 14, "failed": 6, "canceled": 3, "refunded": 4, "partially_refunded": 5,
    "disputed": 2, "returned": 1,
}  # fmt: skip
METHODS = ("oxxo", "card", "spei", "card", "oxxo", "oxxo")


def fill_day(books: Books) -> None:
    """All of it, for stripe/default on 20 November 2026, compared and not yet closed."""
    add_payments(books)
    add_crypto(books)
    add_stories(books)
    add_month(books)
    books.add_run(counts={"theirs": 149, "compared": 148, "pages": 2, "found_state": 3, "sent": 4})


def add_payments(books: Books) -> None:
    numbers = count(1)
    file_id = books.put(
        "settlement_files",
        psp="stripe",
        account="default",
        name="balance.csv",
        sha256=bytes(32),
        lines=90,
        imported_at=END,
    )
    for state, times in STATES.items():
        for at in range(times):
            number = next(numbers)
            amount = 15_000 + number * 7_310
            has_money = state not in ("pending", "expired", "failed", "canceled")
            refunded = {"refunded": amount, "partially_refunded": amount // 3}.get(state, 0)
            is_dollar = state == "completed" and at % 23 == 5
            id = books.add_payment(
                f"pi_3Q{number:04d}kX2eZvKYlo2C", state=state, method="card" if is_dollar else METHODS[number % 6],
                amount_minor=amount, received_minor=amount if has_money else 0, refunded_minor=refunded,
                fee_minor=300 + amount * 36 // 1000 if has_money and at % 9 else None,
                currency="USD" if is_dollar else "MXN", psp_created_at=START + timedelta(minutes=number * 9),
            )  # fmt: skip
            if has_money and not is_dollar and at % 2:
                add_settlement(books, file_id, number, id, amount)


def add_crypto(books: Books) -> None:
    """Two on-ramps of one asset, in the scales of two PSPs, and one that is not priced yet."""
    for number, (state, units, scale) in enumerate(
        [("completed", "25500000", 6), ("completed", "1", 18), ("pending", None, None)]
    ):
        books.add_payment(
            f"pi_ramp_{number}", method="crypto_onramp", state=state, crypto_asset="usdc", crypto_network="base",
            crypto_base_units=units, crypto_scale=scale, received_minor=10_000 if units else 0, fee_minor=None,
        )  # fmt: skip


def add_settlement(books: Books, file_id: int, number: int, payment_id: object, amount: int) -> None:
    fee = 300 + amount * 36 // 1000
    books.put(
        "settlement_lines", file_id=file_id, psp="stripe", account="default", line_key=f"txn_{number}", kind="payment",
        raw_kind="charge", payment_id=payment_id, amount_minor=amount, fee_minor=fee, net_minor=amount - fee,
        currency="MXN", occurred_at=NOON, content_digest=bytes(32),
    )  # fmt: skip


def add_stories(books: Books) -> None:
    """One difference of each class, healed, proposed, dismissed, open and gone, each with what the PSP said."""
    for at, kind in enumerate(Difference):
        psp_payment_id = NASTY if kind is Difference.DUPLICATE_THERE else f"pi_story_{kind.value}"
        payment_id = None
        if kind is not Difference.MISSING_HERE:
            payment_id = books.add_payment(psp_payment_id, state="completed")
            tell_payment(books, payment_id, at)
        theirs = {"state": "completed", "amount_minor": 10_000, "received_minor": 10_000, "currency": "MXN"}
        ours = {"state": "pending", "amount_minor": 10_000, "received_minor": 0, "currency": "MXN"}
        sides = {Difference.MISSING_HERE: ({}, theirs), Difference.MISSING_THERE: (ours, {})}
        fate = {
            Difference.STATE: {"healing": "sent", "healing_event_id": 900 + at, "closed_at": END + timedelta(hours=2),
                               "closed_reason": "healed", "decided_by": "ana", "decided_why": "the PSP is right"},
            Difference.AMOUNT: {"closed_at": END + timedelta(hours=3), "closed_reason": "dismissed", "decided_by": "luis",
                                "decided_why": f"rounding of the fee, see account {CLABE} <b>bold</b>"},
            Difference.LATE: {"closed_at": END + timedelta(hours=4), "closed_reason": "equal again"},
            Difference.MISSING_HERE: {"healing": "proposed"},
        }  # fmt: skip
        told = fate.get(kind, {})
        if "decided_by" in told:
            told["decided_at"] = END + timedelta(hours=1, minutes=30)
        here, there = sides.get(kind, (ours, theirs))
        id = books.add_difference(psp_payment_id, kind, payment_id=payment_id, ours=here, theirs=there, **told)
        add_evidence(books, id, kind)


def tell_payment(books: Books, payment_id: object, at: int) -> None:
    books.add_transition(
        payment_id, event_id=500 + at, from_state=None, to_state="pending", kind="pending", received_minor=0,
        recorded_at=NOON + timedelta(seconds=2), reason="adopted",
    )  # fmt: skip
    books.add_transition(
        payment_id, event_id=900 + at, source="reconciliation", occurred_at=NOON + timedelta(minutes=7),
        recorded_at=END + timedelta(hours=1, minutes=31),
    )  # fmt: skip


def add_evidence(books: Books, id: int, kind: Difference) -> None:
    witnesses = ("psp", "cep") if kind is Difference.OPERATING_DATE else ("psp",)
    for witness in witnesses:
        body = b'{"name": "Ana Ruiz", "clabe": "646180110400000007"}'
        at = END + timedelta(hours=1)
        books.put("discrepancy_evidence", discrepancy_id=id, kind=witness, body=body, told_at=at, recorded_at=at)


def add_month(books: Books) -> None:
    """What there was on the 29 days before."""
    for back in range(1, 30):
        for at in range((back * 7) % 11 if back % 6 else 0):
            closed = {"closed_at": END, "closed_reason": ("dismissed", "equal again", "healed", "healed")[at % 4]}
            if closed["closed_reason"] == "healed":
                closed |= {"healing": "sent", "healing_event_id": 7}
            is_open = back < 4 and at == 0
            day = DAY - timedelta(days=back)
            books.add_difference(f"pi_old_{back}_{at}", account_day=day, **({} if is_open else closed))
