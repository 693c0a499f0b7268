"""STP's API: SPEI orders out (registra), and look-ups of orders and deposits (efws). Each request carries a firma.

Source: stpmex 3.15.1, speid, rozert. Errors of registra come with HTTP 200 and a result id of 0 or less.
"""

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from models.states import Direction, Method
from psps.calls import Call, HttpAnswer, clean_words
from psps.clabe import is_clabe
from psps.credentials import load_private_key
from psps.gate import Gate
from psps.http import PspHttp
from psps.outbound import (
    Answer,
    CancelRequest,
    ClientSettings,
    CreateRequest,
    NotOffered,
    NotThere,
    OutcomeUnknown,
    RefundRequest,
    Refused,
)
from psps.stp.banks import STP, find_participant, name_institution
from psps.stp.firma import JSON_TYPE, LONGEST_TRACKING_KEY, ORDER_FIELDS, fold_text, write_signed
from psps.stp.lookups import ONE_DAY, Lookups, find_latest_operating_date, list_weekdays, read_wall
from psps.stp.orders import RECEIVED, SENT
from psps.writing import major_units, write_json

REGISTER = "/speiws/rest/ordenPago/registra"
# 0 is written both for an order that got no answer further on and for a request that is wrong: only the words tell.
NO_ANSWER = 0
# What is said with it where the request itself is wrong. Source: the errors that stpmex tells apart. Whole words alone:
# a "confirmación" that did not come is no firma.
WRONG_REQUEST = re.compile(r"\b(?:firma|obligatorio|no entity found)\b")
# What STP never takes: no account, bank, kind of account, amount, CLABE of another bank, its own account, form of the key,
# money laundering. -1, a key that was used, and every other id say nothing about whether the order exists.
FINAL_RESULTS = frozenset({-7, -9, -11, -20, -22, -24, -34, -200})
DAYS_BACK = 7
CLOCK_ERROR = timedelta(minutes=15)  # how far our clock may be from STP's when the operating date changes
CLABE_ACCOUNT = 40
LATE_ROWS = timedelta(hours=1)
CAPTURED = "C"  # stpmex: Estado.capturada
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DEPOSIT_ID = re.compile(r"([0-9]{1,9}):(.+):([0-9]{8})")


class StpClient:
    """Calls one company's account. There is no idempotency: the clave de rastreo, used once a day, is looked up."""

    settled_after = 300.0  # STP may show an order some minutes after it took it
    needs_refund_baseline = False
    replays_errors = False

    def __init__(self, settings: ClientSettings, gate: Gate) -> None:
        options = settings.options
        key = load_private_key(options["PRIVATE_KEY"], options.get("PRIVATE_KEY_PASSPHRASE"))
        if key is None:
            raise ValueError("STP's private key cannot be read: is PRIVATE_KEY_PASSPHRASE right?")
        self._key, self._company, self._ordering = key, options["COMPANY"], options["ORDERING_CLABE"]
        self._orders = PspHttp(settings.api_url, gate, read_wall)
        self._lookups = Lookups(options.get("EFWS_URL", settings.api_url), gate, self._company, key)
        self._clock = gate.clock

    def close(self) -> None:
        """Hang up."""
        self._orders.close()
        self._lookups.close()

    def create(self, request: CreateRequest) -> Answer:
        """Send an order. The clave de rastreo and the folio are our reference, which every later message carries."""
        if request.direction is Direction.IN or request.method is not Method.SPEI:
            raise NotOffered(
                "STP makes no payment requests: give the payer a CLABE of yours, known by `acuse clabes add`"
            )
        order = self._write_order(request)
        content = write_signed(order, ORDER_FIELDS, self._key)
        answer = self._orders.call(Call("PUT", REGISTER, headers=JSON_TYPE, content=content, changes=True))
        number = _read_result(answer)
        # STP answers with its number alone: what it took is the order as it was sent. Look-ups are few in an hour.
        taken = {"tipoOrden": SENT, "orden": {**order, "idEF": number, "estado": CAPTURED}}
        return Answer(answer.as_of, write_json(taken), f"order:{number}")

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By the clave de rastreo, on the current operating date and on every earlier one since it was sent first.

        A key may be used again on another date, so a date that is left out would let the money leave twice. For the same
        reason a no is not taken for one in the first hour after the date has changed: rows of the closed date may be late.
        """
        first, last = self._day(since - CLOCK_ERROR), self._day(self._clock() + CLOCK_ERROR) - ONE_DAY
        key = _tracking_key(request)
        days = [None, *list_weekdays(first, last)]
        found = next((found for day in days if (found := self._lookups.find(key, SENT, day))), None)
        closed_at = datetime.combine(self._day(since) + ONE_DAY, time.min, UTC) + LATE_ROWS
        if found is None and self._day(since) < self._day(self._clock()) and self._clock() < closed_at:
            raise OutcomeUnknown("date_changed", "STP shows no such order so far, and would take it again on this date")
        return found

    def fetch(self, psp_payment_id: str) -> Answer:
        """A deposit by its tuple. An order is known by STP's number, which no look-up takes: it is searched for among the
        orders of the current operating date and of the week before, and is NotThere if it is older."""
        is_order = psp_payment_id.startswith("order:")
        found = self._search_order(psp_payment_id) if is_order else self._find_deposit(psp_payment_id)
        if found is None:
            where = f"among the orders of the last {DAYS_BACK} days" if is_order else "of this bank and date"
            raise NotThere("not_found", f"STP shows none {where}")
        return found

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """Orders and deposits of every operating date that the window touches, whole dates: SPEI's day is no calendar day."""
        day, last = self._day(start), find_latest_operating_date(end.astimezone(UTC))
        while day <= last and day < self._day(self._clock()):
            for past in list_weekdays(day, day):
                yield from self._list_both(past)
            day += ONE_DAY
        if day <= last:  # the current operating date is today or, without a bank open today, a later day
            yield from self._list_both(None)

    def refund(self, request: RefundRequest) -> Answer:
        """Not offered."""
        raise NotOffered("STP has no refund: send a payout to the payer's CLABE")

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Not offered."""
        raise NotOffered("STP has no refund: send a payout to the payer's CLABE")

    def cancel(self, request: CancelRequest) -> Answer:
        """Not offered."""
        raise NotOffered("STP has no cancelation of an order: if it comes back, cambioEstado says so")

    def _write_order(self, request: CreateRequest) -> dict[str, Any]:
        clabe = request.clabe or ""
        if not is_clabe(clabe):
            raise Refused("invalid_clabe", "a payout needs a CLABE with the right check digit")
        participant = find_participant(clabe)
        if participant is None:
            raise Refused("unknown_bank", f"no bank that STP pays to has CLABEs that begin with {clabe[:3]}")
        if request.currency != "MXN":
            raise Refused("invalid_currency", "SPEI carries pesos alone")
        return {
            "institucionContraparte": participant,
            "empresa": self._company,
            "folioOrigen": request.reference,
            "claveRastreo": _tracking_key(request),
            "institucionOperante": STP,
            "monto": major_units(request.amount_minor),
            "tipoPago": 1,
            "tipoCuentaOrdenante": CLABE_ACCOUNT,
            "cuentaOrdenante": self._ordering,
            "tipoCuentaBeneficiario": CLABE_ACCOUNT,
            "nombreBeneficiario": fold_text(request.beneficiary or "") or "ND",
            "cuentaBeneficiario": clabe,
            "rfcCurpBeneficiario": "ND",
            "conceptoPago": fold_text(request.description) or "Pago",
            "referenciaNumerica": _make_number(request.reference),
            "topologia": "T",
            "medioEntrega": 3,
            "prioridad": 0,
        }

    def _search_order(self, psp_payment_id: str) -> Answer | None:
        today = self._day(self._clock())
        past = list_weekdays(today - DAYS_BACK * ONE_DAY, today - ONE_DAY)
        rows = (row for day in [None, *reversed(list(past))] for row in self._lookups.list_day(SENT, day))
        return next((row for row in rows if row.psp_payment_id == psp_payment_id), None)

    def _find_deposit(self, psp_payment_id: str) -> Answer | None:
        """The look-up takes no bank, and two banks may use one key on one day: what it finds is compared."""
        wanted = _DEPOSIT_ID.fullmatch(psp_payment_id)
        if wanted is None:
            return None
        day = wanted[3] if wanted[3] < f"{self._day(self._clock()):%Y%m%d}" else None
        found = self._lookups.find(wanted[2], RECEIVED, day)
        return found if found and _name_deposit(found.psp_payment_id) == _name_deposit(psp_payment_id) else None

    def _list_both(self, day: str | None) -> Iterator[Answer]:
        for direction in (RECEIVED, SENT):
            yield from self._lookups.list_day(direction, day)

    def _day(self, at: datetime) -> date:
        return at.astimezone(UTC).date()


def _tracking_key(request: CreateRequest) -> str:
    return fold_text(request.reference, LONGEST_TRACKING_KEY)


def _make_number(reference: str) -> int:
    """A referenciaNumerica of at most 7 digits, the same for every send."""
    return int.from_bytes(hashlib.sha256(reference.encode()).digest()[:4]) % 9_999_999 + 1


def _name_deposit(psp_payment_id: str | None) -> tuple[int, str, str] | None:
    """The parts of a deposit's id, its bank by the one code."""
    found = _DEPOSIT_ID.fullmatch(psp_payment_id or "")
    return (name_institution(int(found[1])), found[2], found[3]) if found else None


def _read_result(answer: HttpAnswer) -> int:
    """The number of the order. Raises OutcomeUnknown where it may exist all the same, else Refused."""
    result = answer.object().get("resultado")
    told = result if type(result) is dict else {}
    if not _WHOLE.fullmatch(str(told.get("id"))):
        raise answer.unexpected("no result id")
    number, said = int(told["id"]), clean_words(told.get("descripcionError"))
    if number > 0:
        return number
    is_final = number in FINAL_RESULTS or (number == NO_ANSWER and WRONG_REQUEST.search(said.casefold()))
    raise (Refused if is_final else OutcomeUnknown)(f"registra_{number}", said, answer.status)
