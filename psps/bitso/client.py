"""Bitso's API: one-time SPEI payments, payouts, and look-ups of deposits. JSON both ways, every call signed.

Source: docs.bitso.com. There is no idempotency key: payment_id and origin_id, both ours, are looked up instead.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from models.states import Direction
from psps.bitso.answers import find_pages, read_fault, read_id, read_one, read_page, read_payload, show
from psps.bitso.authorization import make_authorize
from psps.bitso.fields import FUNDING, ID_PREFIXES, INTENT, ONE_TIME, WITHDRAWAL, Fields, find_time, fold, name_resource
from psps.bitso.requests import check_offered, write_create
from psps.bitso.transfers import CLABE_TYPE, MANAGED, find_deposit_clabe, find_origin, find_origin_id
from psps.gate import Gate
from psps.http import Call, HttpAnswer, PspHttp
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    PspError,
    RefundRequest,
    Refused,
)

FUNDINGS, WITHDRAWALS = "/v3/fundings", "/v3/withdrawals"
ONE_TIME_PAYMENTS, CLABES = "/spei/v1/payments", "/spei/v1/clabes"
# UNVERIFIED: the documents name this path for the making of an intent; that one is read below it is the usual form.
INTENTS = "/payments/v1alpha/payment_intents"
PATHS = {FUNDING: FUNDINGS, WITHDRAWAL: WITHDRAWALS, ONE_TIME: ONE_TIME_PAYMENTS, INTENT: INTENTS}
JSON_TYPE = {"content-type": "application/json"}
PAGE = 100  # the most that Bitso gives
WHOLE_PAGE = [("page_size", str(PAGE))]
CLABES_KEPT = 4096
UNAUTHORIZED = 401
ONE_DAY = timedelta(days=1)
# How far the times without a zone, read as UTC, may be behind: they may be those of Mexico City.
ZONE_DOUBT = timedelta(hours=6)
NO_REFUND = "Bitso has no refund: send a payout (withdrawal) to the payer's CLABE"


class BitsoClient:
    """Calls one Bitso account. Payments are named `<fid>`, `withdrawal:<wid>`, `payment:<payment_id>`, `intent:<id>`."""

    # UNVERIFIED: whether a new payment or payout is shown at once, so it is given time.
    settled_after = 120.0
    needs_refund_baseline = False
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        key, secret = settings.options["API_KEY"], settings.options["API_SECRET"]
        self._http = PspHttp(settings.api_url, gate, read_fault, make_authorize(key, secret, gate.clock))
        self._find_clabe_type = lru_cache(maxsize=CLABES_KEPT)(self._ask_clabe_type)

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
        """One of the four things; a funding with the type of its CLABE, as psps.bitso.events explains."""
        prefix, separator, rest = psp_payment_id.partition(":")
        kinds = {name: resource for resource, name in ID_PREFIXES.items()}
        resource, own_id = (kinds.get(prefix + separator), rest) if separator else (FUNDING, prefix)
        if resource is None or not own_id.strip("."):
            raise NotThere("malformed_id", "not an id of Bitso's")
        answer = self._http.call(Call("GET", f"{PATHS[resource]}/{quote(own_id, safe='')}"))
        row = read_one(answer)
        if name_resource(row) != resource or read_id(answer, row) != own_id:
            raise answer.unexpected("another thing than the one asked for")
        return show(answer, self._add_clabe_type(row) if resource == FUNDING else row)

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """By the time of creation, newest first: deposits, payouts, then one-time payments. The deposit of a one-time
        payment is told by that alone."""
        for answer, row in self._list_transfers(FUNDINGS, start, end):
            marked = self._add_clabe_type(row)
            if fold(marked.get(CLABE_TYPE)) != MANAGED:
                yield show(answer, marked)
        for answer, row in self._list_transfers(WITHDRAWALS, start, end):
            yield show(answer, row)
        for answer, row in self._list_one_time(start, end):
            yield show(answer, row)

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

    def _add_clabe_type(self, row: dict[str, Any]) -> dict[str, Any]:
        clabe = find_deposit_clabe(row)
        if clabe is None or find_origin(row):
            return row
        return {**row, CLABE_TYPE: self._find_clabe_type(clabe)}

    def _ask_clabe_type(self, clabe: str) -> str:
        """MAIN, ADDITIONAL, MANAGED ...; nothing where Bitso refuses to tell: without the Multi-CLABE API there are no
        one-time payments either."""
        try:
            answer = self._http.call(Call("GET", f"{CLABES}/{clabe}"))
            return fold(read_one(answer).get("type")) or ""
        except Refused as refusal:
            if refusal.status == UNAUTHORIZED:
                raise
            return ""

    def _list_transfers(self, path: str, start: datetime, end: datetime) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """Bitso cannot be asked for a time, so this begins with the newest and ends with the first that is too old."""
        marker: list[tuple[str, str]] = []
        while True:
            answer = self._http.call(Call("GET", path, [("limit", str(PAGE)), *marker]))
            rows = answer.objects(read_payload(answer))
            for row in rows:
                created_at = _read_created(answer, row)
                if created_at < start:
                    return
                if created_at < end:
                    yield answer, row
            if not rows:
                return
            last = [("marker", read_id(answer, rows[-1]))]
            if last == marker:
                raise answer.unexpected("a page that does not move on")
            marker = last

    def _list_one_time(self, start: datetime, end: datetime) -> Iterator[tuple[HttpAnswer, dict[str, Any]]]:
        """In which zone the dates of the filter and the times of creation are is UNVERIFIED: more is asked for than the
        window, and what may lie in it is given."""
        window = [
            ("start_date", (start - ONE_DAY).date().isoformat()),
            ("end_date", (end + ONE_DAY).date().isoformat()),
        ]
        seen: set[str] = set()
        page = 1
        while True:
            answer = self._http.call(Call("GET", ONE_TIME_PAYMENTS, [*window, ("page", str(page)), *WHOLE_PAGE]))
            told = read_page(answer)
            rows = {read_id(answer, row): row for row in answer.objects(told.get("response"))}
            # One that is made meanwhile comes first and moves the others on, so some are seen twice.
            fresh = [row for own_id, row in rows.items() if own_id not in seen]
            for row in fresh:
                created_at = find_time(row, "created_at")
                if created_at is None or start - ZONE_DOUBT <= created_at < end:
                    yield answer, row
            if not rows or page == find_pages(told):
                return
            if not fresh:
                raise answer.unexpected("a page that does not move on")
            seen.update(rows)
            page += 1


def _is_asked_for(row: Fields, request: CreateRequest) -> bool:
    if request.direction is Direction.OUT:
        return name_resource(row) == WITHDRAWAL and find_origin_id(row) in (None, request.reference)
    return row.get("payment_id") == request.reference


def _read_created(answer: HttpAnswer, row: Fields) -> datetime:
    created_at = find_time(row, "created_at")
    if created_at is None:
        raise answer.unexpected("a transfer without a time of creation")
    return created_at
