"""Bitso's API: one-time SPEI payments, payouts, and look-ups of deposits. JSON both ways, every call signed.

Source: docs.bitso.com. There is no idempotency key: payment_id and origin_id, both ours, are looked up instead.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote

from models.states import Direction
from psps.bitso.answers import read_fault, read_id, read_one, read_payload, show
from psps.bitso.authorization import make_authorize
from psps.bitso.deposits import LONGEST_LIFE, OneTimePayments, find_search_window, may_be_of_one_time
from psps.bitso.fields import FUNDING, ID_PREFIXES, INTENT, ONE_TIME, WITHDRAWAL, Fields, find_time, fold, name_resource
from psps.bitso.lists import (
    FUNDINGS,
    ONE_TIME_PAYMENTS,
    WITHDRAWALS,
    is_made_before,
    list_one_time,
    list_transfers,
    may_be_made_in,
)
from psps.bitso.requests import check_offered, write_create
from psps.bitso.returns import Returns
from psps.bitso.transfers import OF_PAYMENT, find_origin_id
from psps.gate import Gate
from psps.http import Call, HttpAnswer, PspHttp
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotNow,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    PspError,
    RefundRequest,
    Refused,
)

# UNVERIFIED: the documents name this path for the making of an intent; that one is read below it is the usual form.
INTENTS = "/payments/v1alpha/payment_intents"
PATHS = {FUNDING: FUNDINGS, WITHDRAWAL: WITHDRAWALS, ONE_TIME: ONE_TIME_PAYMENTS, INTENT: INTENTS}
JSON_TYPE = {"content-type": "application/json"}
UNAUTHORIZED = 401
# Of one-time payments, looked through for one deposit: 2000 of them, and some ten seconds at Bitso's rate.
MOST_PAGES = 20
NO_REFUND = "Bitso has no refund: send a payout (withdrawal) to the payer's CLABE"


class BitsoClient:
    """Calls one Bitso account. Payments are named `<fid>`, `withdrawal:<wid>`, `payment:<payment_id>`, `intent:<id>`."""

    # UNVERIFIED: whether a new payment or payout is shown at once, so it is given time.
    settled_after = 120.0
    needs_refund_baseline = False
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        key, secret = settings.options["API_KEY"], settings.options["API_SECRET"]
        self._clock = gate.clock
        self._http = PspHttp(settings.api_url, gate, read_fault, make_authorize(key, secret, gate.clock))

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def create(self, request: CreateRequest) -> Answer:
        """Ask for a one-time payment, whose CLABE is the payer's alone, or send a payout.

        What Bitso says about a payment_id or origin_id that is used already is UNVERIFIED, so after a refusal it is
        looked up: one that is there is OutcomeUnknown, never Refused.
        """
        check_offered(request)
        path = WITHDRAWALS if request.direction is Direction.OUT else ONE_TIME_PAYMENTS
        call = Call("POST", path, headers=JSON_TYPE, content=write_create(request), changes=True)
        try:
            answer = self._http.call(call)
            row = read_one(answer)
            if not _is_asked_for(row, request):
                raise answer.unexpected("another thing than the one asked for")
            return show(answer, row)
        except Refused as refusal:
            if refusal.status != UNAUTHORIZED and self._may_be_there(request):
                raise OutcomeUnknown(refusal.code, refusal.message, refusal.status) from None
            raise

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By our own id: payment_id leads to the payment itself, origin_id to the withdrawals that carry it."""
        return self._find(request)

    def fetch(self, psp_payment_id: str) -> Answer:
        """One of the four things; a funding with a note where it is of a one-time payment (psps.bitso.deposits)."""
        prefix, separator, rest = psp_payment_id.partition(":")
        kinds = {name: resource for resource, name in ID_PREFIXES.items()}
        resource, own_id = (kinds.get(prefix + separator), rest) if separator else (FUNDING, prefix)
        if resource is None or not own_id.strip("."):
            raise NotThere("malformed_id", "not an id of Bitso's")
        answer = self._http.call(Call("GET", f"{PATHS[resource]}/{quote(own_id, safe='')}"))
        row = read_one(answer)
        if name_resource(row) != resource or read_id(answer, row) != own_id:
            raise answer.unexpected("another thing than the one asked for")
        return show(answer, self._note_payment(row, answer) if resource == FUNDING else row)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of creation, newest first: one-time payments, deposits, then payouts. The deposit of a one-time
        payment is told by that alone, and one that may turn out to be such is left to a later window."""
        payments, read_at = OneTimePayments(), self._clock()
        for answer, row in list_one_time(self._http, start - LONGEST_LIFE, end):
            payments.note(row)
            if may_be_made_in(row, start, end):
                yield show(answer, row)
        returns = Returns()
        # A payout may come back after the window; the list begins with what is newer in any case.
        for answer, row in list_transfers(self._http, FUNDINGS, start, None):
            if returns.note(answer, row) or not is_made_before(row, end):
                continue
            if not may_be_of_one_time(row) or _is_plain(row, payments, read_at):
                yield show(answer, row)
        for answer, row in list_transfers(self._http, WITHDRAWALS, start, end):
            yield show(answer, returns.attach(row))
        yield from (show(answer, row) for answer, row in returns.list_left() if is_made_before(row, end))

    def refund(self, request: RefundRequest) -> Answer:
        """Not offered."""
        raise NotOffered(NO_REFUND)

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Not offered."""
        raise NotOffered(NO_REFUND)

    def cancel(self, request: CancelRequest) -> Answer:
        """Not offered."""
        raise NotOffered(
            "Bitso has no cancel: a one-time payment that nobody pays expires, and a payout cannot be stopped"
        )

    def _find(self, request: CreateRequest) -> Answer | None:
        if request.direction is Direction.OUT:
            return self._find_withdrawal(request.reference)
        try:
            return self.fetch(ID_PREFIXES[ONE_TIME] + request.reference)
        except NotThere:
            return None

    def _find_withdrawal(self, origin_id: str) -> Answer | None:
        """Where Bitso should not heed the filter, its answer proves nothing, and least of all that there is none."""
        answer = self._http.call(Call("GET", WITHDRAWALS, [("origin_ids", origin_id)]))
        rows = answer.objects(read_payload(answer))
        if any(find_origin_id(row) != origin_id for row in rows):
            raise answer.unexpected("withdrawals of another origin")
        return show(answer, max(rows, key=lambda row: fold(row.get("status")) != "failed")) if rows else None

    def _may_be_there(self, request: CreateRequest) -> bool:
        """Where it cannot be looked up now, it may be; where Bitso refuses that too, the refusal stands by itself."""
        try:
            return self._find(request) is not None
        except Refused:
            return False
        except PspError:
            return True

    def _note_payment(self, funding: dict[str, Any], answer: HttpAnswer) -> dict[str, Any]:
        """Raises NotNow while a one-time payment may be going to name this funding."""
        if not may_be_of_one_time(funding):
            return funding
        payments = OneTimePayments()
        for _, row in list_one_time(self._http, *find_search_window(funding, answer.as_of), MOST_PAGES):
            payments.note(row)
            if payment_id := payments.find_payment_id(funding):
                return {**funding, OF_PAYMENT: payment_id}
        if payments.may_name_it_yet(funding):
            raise NotNow("deposit_in_doubt", "a one-time payment may be going to name this deposit", answer.status)
        return funding


def _is_asked_for(row: Fields, request: CreateRequest) -> bool:
    if request.direction is Direction.OUT:
        return name_resource(row) == WITHDRAWAL and find_origin_id(row) in (None, request.reference)
    return row.get("payment_id") == request.reference


def _is_plain(funding: Fields, payments: OneTimePayments, read_at: datetime) -> bool:
    """Whether a deposit is of no one-time payment, as far as those tell that were listed from `read_at` on."""
    created_at = find_time(funding, "created_at")
    is_newer = created_at is None or created_at >= read_at
    return not (is_newer or payments.find_payment_id(funding) or payments.may_name_it_yet(funding))
