"""The proof itself: the XML that the receiving bank sealed and Banxico gives out.

The seal is not verified: which certificate it is by cannot be looked up in public (UNVERIFIED), so what is trusted is
the connection to the portal. Of cadenaCDA, the sealed text, only what stands before the names is read: payers write
into the rest, and a "|" among their words would move the places.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from defusedxml.ElementTree import ParseError, fromstring

from psps.base import Unparseable
from psps.identity import is_storable_key
from psps.payload import MEXICO_CITY, pesos_to_minor

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element  # nosec B405 # the type alone; defusedxml reads

MOST_BYTES = 65_536  # a proof has some 1,700
_TYPE, _OPERATING, _CREDITED = 2, 3, 4  # places in cadenaCDA
_DAY = re.compile(r"([0-9]{2})([0-9]{2})([0-9]{4})", re.ASCII)
_ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})", re.ASCII)
_SMALL = re.compile(r"[0-9]{1,3}", re.ASCII)
_PARTICIPANT = re.compile(r"[0-9]{4,5}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CepProof:
    """That a bank credited a SPEI payment. `credited_at` is aware UTC, `receiver` that bank's participant's code.

    `account` is "NA" where the payment is to the bank itself.
    """

    operating_day: date
    credited_at: datetime
    tracking_key: str
    amount_minor: int
    account: str = field(repr=False)
    payment_type: int
    receiver: str

    @property
    def credited_day(self) -> date:
        """The day of the credit in Mexico City."""
        return self.credited_at.astimezone(MEXICO_CITY).date()


def read_proof(body: bytes) -> CepProof:
    """The proof in the portal's XML. Raises Unparseable, nothing else; entities and a DTD are among what is refused."""
    root = _read_xml(body)
    beneficiary = root.findall("Beneficiario")
    if root.tag != "SPEI_Tercero" or len(beneficiary) != 1:
        raise Unparseable("this is no SPEI_Tercero with one Beneficiario")
    sealed = root.get("cadenaCDA", "").split("|")
    if len(sealed) <= _CREDITED or sealed[0] or sealed[1]:
        raise Unparseable("cadenaCDA cannot be read")
    operating_day = _read_iso_day(_require(root, "FechaOperacion"))
    if _read_day(sealed[_OPERATING]) != operating_day:
        raise Unparseable("FechaOperacion is not the date in cadenaCDA")
    return CepProof(
        operating_day=operating_day,
        credited_at=_read_time(_read_day(sealed[_CREDITED]), _require(root, "Hora")),
        tracking_key=_require(root, "claveRastreo"),
        amount_minor=pesos_to_minor(_require(beneficiary[0], "MontoPago"), "MontoPago"),
        account=_require(beneficiary[0], "Cuenta"),
        payment_type=int(_match(_SMALL, sealed[_TYPE], "the payment type in cadenaCDA")[0]),
        receiver=_match(_PARTICIPANT, _require(root, "ClaveSPEI"), "ClaveSPEI")[0],
    )


def _read_xml(body: bytes) -> "Element":
    if len(body) > MOST_BYTES:
        raise Unparseable(f"the proof is larger than {MOST_BYTES} bytes")
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except (ParseError, ValueError, LookupError):  # defusedxml refuses with ValueError; LookupError is an encoding
        raise Unparseable("the proof is no plain XML") from None
    return root


def _require(element: "Element", name: str) -> str:
    text = element.get(name, "").strip()
    if not is_storable_key(text):
        raise Unparseable(f"{name} is not a short text")
    return text


def _match(pattern: re.Pattern[str], text: str, name: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise Unparseable(f"{name} cannot be read")
    return found


def _read_iso_day(text: str) -> date:
    try:
        return date.fromisoformat(_match(_ISO_DAY, text, "FechaOperacion")[0])
    except ValueError:
        raise Unparseable("FechaOperacion is no date") from None


def _read_day(text: str) -> date:
    day, month, year = map(int, _match(_DAY, text, "a date in cadenaCDA").groups())
    try:
        return date(year, month, day)
    except ValueError:
        raise Unparseable("a date in cadenaCDA is none") from None


def _read_time(day: date, text: str) -> datetime:
    hour, minute, second = map(int, _match(_TIME, text, "Hora").groups())
    try:
        return datetime(day.year, day.month, day.day, hour, minute, second, tzinfo=MEXICO_CITY).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unparseable("Hora is no time") from None
