"""STP's look-ups (efws): one order or deposit by its clave de rastreo, and all of one operating date.

An operating date is asked for by its day, YYYYMMDD, the current one by none at all (source: stpmex, "exclude the
fechaOperacion if looking up transactions from the same day"). A day on which no bank works has nothing, which is no error.
`estado` says how it went, with HTTP 200. UNVERIFIED: always with 200; under another status it is read all the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from psps.calls import Call, Fault, HttpAnswer, clean_words
from psps.gate import Gate
from psps.http import PspHttp
from psps.identity import peek_object
from psps.outbound import Answer, NotNow, NotThere, PspError, Refused
from psps.stp.contract import deposit_tuple, read_number, read_text
from psps.stp.firma import JSON_TYPE, LIST_FIELDS, LOOKUP_FIELDS, write_signed
from psps.stp.orders import SENT

LOOK_UP, LIST_DAY = "/efws/API/consultaOrden", "/efws/API/V2/conciliacion"
OK, TOO_MANY_REQUESTS = 0, 3
NOTHING = {6: "nothing found", 8: "a date in the future"}
# Source: rozert, which saw estado 3 and says that 100 requests an hour are allowed. UNVERIFIED by STP.
PAUSE_AFTER_TOO_MANY = 300.0
SATURDAY = 5
ONE_DAY = timedelta(days=1)


class Lookups:
    """The look-ups of one company. They change nothing."""

    def __init__(self, api_url: str, gate: Gate, company: str, key: RSAPrivateKey) -> None:
        self._http = PspHttp(api_url, gate, _read_fault)
        self._company, self._key = company, key

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def find(self, tracking_key: str, direction: str, day: str | None) -> Answer | None:
        """The order or deposit of that day, or of the current operating date; None where STP says that there is none."""
        sent = {"claveRastreo": tracking_key, "tipoOrden": direction, "fechaOperacion": day}
        answer, told = self._ask(LOOK_UP, sent, LOOKUP_FIELDS)
        if answer is None:
            return None
        row = told.get("respuesta")
        if type(row) is not dict:
            raise answer.unexpected("no respuesta")
        return _show(answer, direction, row)

    def list_day(self, direction: str, day: str | None) -> Iterator[Answer]:
        """Page after page as they are asked for, until there are as many rows as `total` says; there may be more by then."""
        page = seen = 0
        while True:
            sent = {"tipoOrden": direction, "fechaOperacion": day, "page": page}
            answer, told = self._ask(LIST_DAY, sent, LIST_FIELDS)
            rows = answer.objects(told.get("datos")) if answer else []
            if answer is None or not rows:
                return
            yield from (_show(answer, direction, row) for row in rows)
            seen, page, total = seen + len(rows), page + 1, read_number(told.get("total"))
            if total is None:
                raise answer.unexpected("no total")
            if seen >= total:
                return

    def _ask(
        self, path: str, asked: Mapping[str, Any], fields: Iterable[str]
    ) -> tuple[HttpAnswer | None, dict[str, Any]]:
        """What STP tells; no answer where it says that there is nothing."""
        sent = {name: value for name, value in {"empresa": self._company, **asked}.items() if value is not None}
        content = write_signed(sent, fields, self._key)
        try:
            answer = self._http.call(Call("POST", path, headers=JSON_TYPE, content=content))
            told = answer.object()
            _check_estado(answer, told)
        except _Nothing:
            return None, {}
        return answer, told


class _Nothing(NotThere):
    """STP answered that there is nothing, unlike an address under which nobody answers."""


def _check_estado(answer: HttpAnswer, told: Mapping[str, Any]) -> None:
    estado = read_number(told.get("estado"))
    if estado is None:
        raise answer.unexpected("no estado")
    if estado == OK:
        return
    kind, code, message = _find_kind(estado), f"efws_{estado}", clean_words(told.get("mensaje"))
    if kind is NotNow:
        raise NotNow(code, message, answer.status, PAUSE_AFTER_TOO_MANY)
    raise kind(code, message, answer.status)


def _find_kind(estado: int) -> type[PspError]:
    if estado in NOTHING:
        return _Nothing
    return NotNow if estado == TOO_MANY_REQUESTS else Refused


def read_wall(status: int, body: bytes) -> Fault:
    """403 comes from STP's wall: an address that is not on its list, or no VPN."""
    return Fault("not_allowed" if status == 403 else f"http_{status}")


def _read_fault(status: int, body: bytes) -> Fault:
    told = peek_object(body) or {}
    estado = read_number(told.get("estado"))
    if status < 500 and estado:
        return Fault(f"efws_{estado}", str(told.get("mensaje", "")), _find_kind(estado), may_repeat=False)
    return read_wall(status, body)


def _show(answer: HttpAnswer, direction: str, row: dict[str, Any]) -> Answer:
    """A row does not say whether it was sent or received, so it is kept under its `tipoOrden`."""
    body = answer.write({"tipoOrden": direction, "orden": row})
    folded = {name.casefold(): value for name, value in row.items()}
    if direction == SENT:
        number = read_text(folded.get("idef"))
        return Answer(answer.as_of, body, f"order:{number}" if number else None)
    # The row calls the payer's bank institucionContraparte, the webhook institucionOrdenante.
    payer = {"institucionordenante": folded.get("institucioncontraparte")}
    return Answer(answer.as_of, body, deposit_tuple({**folded, **payer}))


def list_weekdays(first: date, last: date) -> Iterator[str]:
    """The days from first to last, both included, that can be operating dates: SPEI has none on Saturday and Sunday."""
    days = (first + ONE_DAY * n for n in range((last - first).days + 1))
    return (f"{day:%Y%m%d}" for day in days if day.weekday() < SATURDAY)


def find_latest_operating_date(at: datetime) -> date:
    """The latest that the operating date can be at that time (aware UTC), after the longest row of bank holidays.

    It is the first banking day from the UTC date on, since SPEI's day begins at 18:00 in Mexico City, 00:00 UTC.
    """
    return at.date() + 4 * ONE_DAY
