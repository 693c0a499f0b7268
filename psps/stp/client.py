"""STP's API: SPEI orders out (registra), and look-ups of orders and deposits (efws). Each request carries a firma.

Source: stpmex 3.15.1, speid. Errors of both come with HTTP 200: registra tells them by a result id of 0 or less, efws by
`estado`.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from models.states import Direction, Method
from psps.calls import Call, Fault, HttpAnswer
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
    PspError,
    RefundRequest,
    Refused,
)
from psps.stp.banks import STP, find_participant
from psps.stp.contract import deposit_tuple, read_number, read_text
from psps.stp.firma import LIST_FIELDS, LOOKUP_FIELDS, ORDER_FIELDS, fold_text, sign
from psps.stp.orders import RECEIVED, SENT
from psps.writing import major_units, write_json

REGISTER = "/speiws/rest/ordenPago/registra"
LOOK_UP, LIST_DAY = "/efws/API/consultaOrden", "/efws/API/V2/conciliacion"
JSON_TYPE = {"content-type": "application/json"}
OK, NOTHING_FOUND, FUTURE_DATE = 0, 6, 8
NO_ANSWER, USED_KEY = 0, -1
DAYS_BACK = 7
ONE_DAY = timedelta(days=1)
CLABE_ACCOUNT = 40


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
        self._orders = PspHttp(settings.api_url, gate, _read_fault)
        self._lookups = PspHttp(options.get("EFWS_URL", settings.api_url), gate, _read_fault)
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
        sent = self._write_order(request)
        answer = self._call(self._orders, "PUT", REGISTER, sent, ORDER_FIELDS, changes=True)
        number = _read_result(answer)
        try:
            found = self._look_up(request.reference, SENT, None)
        except PspError:
            found = None  # the order is made; the caller fetches it
        return found or Answer(answer.as_of, None, f"order:{number}")

    def find_created(self, request: CreateRequest, since: datetime) -> Answer | None:
        """By the clave de rastreo, on the current operating date and on every other one since it was sent first."""
        days = _days(since, self._clock())
        return next((found for day in days if (found := self._look_up(request.reference, SENT, day))), None)

    def fetch(self, psp_payment_id: str) -> Answer:
        """A deposit by its tuple. An order is known by STP's number, which no look-up takes: it is searched for among the
        orders of the last days, and is NotThere if it is older."""
        if not psp_payment_id.startswith("order:"):
            _, tracking_key, day = psp_payment_id.split(":", 2)
            found = self._look_up(tracking_key, RECEIVED, day)
        else:
            days = [None, *(day for day in _days(self._clock() - DAYS_BACK * ONE_DAY, self._clock()) if day)]
            rows = (row for day in days for row in self._list_day(SENT, day))
            found = next((row for row in rows if row.psp_payment_id == psp_payment_id), None)
        if found is None:
            raise NotThere("not_found", "STP shows no such order")
        return found

    def list_by_window(self, start: datetime, end: datetime) -> Iterator[Answer]:
        """Orders and deposits of every operating date that the window touches, whole dates: SPEI's day is no calendar day."""
        last = _operating_limit(end)
        day = start.astimezone(UTC).date()
        while day <= last:
            for direction in (RECEIVED, SENT):
                yield from self._list_day(direction, f"{day:%Y%m%d}")
            day += ONE_DAY

    def refund(self, request: RefundRequest) -> Answer:
        """Not offered."""
        raise NotOffered("STP has no refunds: send a payout to the payer's CLABE")

    def find_refund(self, request: RefundRequest, since: datetime) -> Answer | None:
        """Not offered."""
        raise NotOffered("STP has no refunds: send a payout to the payer's CLABE")

    def cancel(self, request: CancelRequest) -> Answer:
        """Not offered."""
        raise NotOffered("STP has no cancelation of an order: if it comes back, cambioEstado says so")

    def _write_order(self, request: CreateRequest) -> dict[str, Any]:
        participant = find_participant(request.clabe or "")
        if participant is None:
            raise Refused(
                "invalid_clabe", "a payout needs a CLABE with the right check digit, of a bank that STP serves"
            )
        if request.currency != "MXN":
            raise Refused("invalid_currency", "SPEI carries pesos alone")
        return {
            "institucionContraparte": participant,
            "empresa": self._company,
            "folioOrigen": request.reference,
            "claveRastreo": request.reference,
            "institucionOperante": STP,
            "monto": major_units(request.amount_minor),
            "tipoPago": 1,
            "tipoCuentaOrdenante": CLABE_ACCOUNT,
            "cuentaOrdenante": self._ordering,
            "tipoCuentaBeneficiario": CLABE_ACCOUNT,
            "nombreBeneficiario": fold_text(request.beneficiary or "ND"),
            "cuentaBeneficiario": request.clabe,
            "rfcCurpBeneficiario": "ND",
            "conceptoPago": fold_text(request.description) or "Pago",
            "referenciaNumerica": _make_number(request.reference),
            "topologia": "T",
            "medioEntrega": 3,
            "prioridad": 0,
        }

    def _look_up(self, tracking_key: str, direction: str, day: str | None) -> Answer | None:
        sent = {"empresa": self._company, "claveRastreo": tracking_key, "tipoOrden": direction, "fechaOperacion": day}
        answer = self._call(self._lookups, "POST", LOOK_UP, _drop_empty(sent), LOOKUP_FIELDS)
        told = answer.object()
        if not _was_found(answer, told):
            return None
        row = told.get("respuesta")
        if type(row) is not dict:
            raise answer.unexpected("no respuesta")
        return _show(answer, direction, row)

    def _list_day(self, direction: str, day: str | None) -> Iterator[Answer]:
        """Page after page, until there are as many rows as `total` says; on the running day there may be more by then."""
        page = seen = 0
        while True:
            sent = _drop_empty({"empresa": self._company, "tipoOrden": direction, "fechaOperacion": day, "page": page})
            answer = self._call(self._lookups, "POST", LIST_DAY, sent, LIST_FIELDS)
            told = answer.object()
            rows = answer.objects(told.get("datos")) if _was_found(answer, told) else []
            yield from (_show(answer, direction, row) for row in rows)
            seen, page = seen + len(rows), page + 1
            if not rows or seen >= (read_number(told.get("total")) or 0):
                return

    def _call(
        self,
        http: PspHttp,
        method: str,
        path: str,
        sent: Mapping[str, Any],
        fields: Iterable[str],
        changes: bool = False,
    ) -> HttpAnswer:
        content = write_json({**sent, "firma": sign(sent, fields, self._key)})
        return http.call(Call(method, path, headers=JSON_TYPE, content=content, changes=changes))


def _drop_empty(sent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in sent.items() if value is not None}


def _make_number(reference: str) -> int:
    """A referenciaNumerica of at most 7 digits, the same for every send."""
    return int.from_bytes(hashlib.sha256(reference.encode()).digest()[:4]) % 9_999_999 + 1


def _read_result(answer: HttpAnswer) -> int:
    """The number of the order. Raises OutcomeUnknown where it may exist all the same, else Refused."""
    result = answer.object().get("resultado")
    number = result.get("id") if type(result) is dict else None
    if type(number) is not int:
        raise answer.unexpected("no result id")
    if number > 0:
        return number
    said = str(result.get("descripcionError", "")) if type(result) is dict else ""
    # 0 is written both for an order that got no answer further on and for one that is wrong.
    may_exist = number == USED_KEY or (number == NO_ANSWER and "respuesta" in said.casefold())
    raise (OutcomeUnknown if may_exist else Refused)(f"registra_{number}", said[:200], answer.status)


def _was_found(answer: HttpAnswer, told: Mapping[str, Any]) -> bool:
    code = read_number(told.get("estado"))
    if code in (NOTHING_FOUND, FUTURE_DATE):
        return False
    if code != OK:
        raise Refused(f"efws_{told.get('estado')}", str(told.get("mensaje", ""))[:200], answer.status)
    return True


def _show(answer: HttpAnswer, direction: str, row: dict[str, Any]) -> Answer:
    body = answer.write({"tipoOrden": direction, "orden": row})
    folded = {name.casefold(): value for name, value in row.items()}
    if direction == SENT:
        number = read_text(folded.get("idef"))
        return Answer(answer.as_of, body, f"order:{number}" if number else None)
    return Answer(
        answer.as_of, body, deposit_tuple({**folded, "institucionordenante": folded.get("institucioncontraparte")})
    )


def _days(since: datetime, now: datetime) -> list[str | None]:
    """The current operating date (None), then the calendar dates since then: those that are no banking day have no orders."""
    first, last = since.astimezone(UTC).date(), _operating_limit(now)
    return [None, *(f"{first + ONE_DAY * n:%Y%m%d}" for n in range((last - first).days + 1))]


def _operating_limit(at: datetime) -> date:
    """The latest that an operating date can be at that time, a long holiday included. STP says so of one in the future."""
    return at.astimezone(UTC).date() + 4 * ONE_DAY


def _read_fault(status: int, body: bytes) -> Fault:
    """403 comes from STP's wall: an address that is not on its list, or no VPN."""
    return Fault("not_allowed" if status == 403 else f"http_{status}")
