"""What Banxico's portal has to be told before it says anything about a payment."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import orjson

from psps.base import Unparseable
from psps.identity import is_storable_key
from psps.payload import MEXICO_CITY, pesos_to_minor, read_json, require_object, unix_millis

# A row of STP's is STP's own: where it does not say who took part on this side, STP did.
STP = "90646"
# Payments to the institution itself: third party to participant, and participant to participant.
TO_PARTICIPANT = frozenset({"4", "31"})
SENT, RECEIVED = "E", "R"
_PARTICIPANT = re.compile(r"[0-9]{4,5}")  # four digits are Banxico's own, 2001
_ACCOUNT = re.compile(r"[0-9]{10}|[0-9]{15,16}|[0-9]{18}")  # a telephone, a card, a CLABE
_DATE = re.compile(r"[0-9]{8}")


@dataclass(frozen=True, slots=True)
class CepQuery:
    """One SPEI payment as both banks know it. `sender` and `receiver` are participants' codes, such as 40012.

    `civil_day` is the day in Mexico City on which it was settled: under it the portal finds a payment, also one of the
    evening, whose operating date is a later one. `account` is the beneficiary's, or the payer's where the payment goes
    `to_participant` (payment types 4 and 31), which has no account.
    """

    civil_day: date
    tracking_key: str
    sender: str
    receiver: str
    account: str = field(repr=False)
    amount_minor: int
    to_participant: bool = False
    operating_day: date | None = None

    @property
    def neighbours(self) -> tuple[date, ...]:
        """The days to ask for, one after the other, until one is not missed."""
        if self.operating_day in (None, self.civil_day):
            return (self.civil_day,)
        return (self.civil_day, self.operating_day)

    def digest(self) -> bytes:
        """32 bytes that stand for this query wherever its answer is kept."""
        told = (
            self.civil_day,
            self.tracking_key,
            self.sender,
            self.receiver,
            self.account,
            self.amount_minor,
            self.to_participant,
            self.operating_day,
        )
        return hashlib.sha256(orjson.dumps(told)).digest()


def find_query(body: bytes) -> CepQuery | None:
    """What to ask about an order or deposit of STP's look-ups, kept as {"tipoOrden": "R" or "E", "orden": {...}}.

    None where something is missing: one that is not settled, a bank told by the three digits of its CLABEs alone.
    """
    try:
        wrapped = read_json(body)
        row = {name.casefold(): value for name, value in require_object(wrapped, "orden").items()}
        amount_minor = pesos_to_minor(row.get("monto"), "monto")
        settled_at = unix_millis(row.get("tsliquidacion"), "tsLiquidacion")
    except Unparseable:
        return None
    to_participant = _read_text(row.get("tipopago")) in TO_PARTICIPANT
    key, account = _read_text(row.get("claverastreo")), _read_account(row, to_participant)
    sender, receiver = _read_participants(str(wrapped.get("tipoOrden")), row)
    if not (key and account and sender and receiver and amount_minor):
        return None
    civil_day, day = settled_at.astimezone(MEXICO_CITY).date(), _read_date(row.get("fechaoperacion"))
    return CepQuery(civil_day, key, sender, receiver, account, amount_minor, to_participant, day)


def _read_participants(direction: str, row: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Sender and receiver."""
    ours = _read_participant(row.get("institucionoperante") or STP)
    theirs = _read_participant(row.get("institucioncontraparte"))
    return {SENT: (ours, theirs), RECEIVED: (theirs, ours)}.get(direction, (None, None))


def _read_participant(value: object) -> str | None:
    text = _read_text(value)
    return text if text and _PARTICIPANT.fullmatch(text) else None


def _read_account(row: Mapping[str, Any], to_participant: bool) -> str | None:
    """Source: the recorded traffic of cep-python, whose queries of types 4 and 31 name the payer's account."""
    text = _read_text(row.get("cuentaordenante" if to_participant else "cuentabeneficiario"))
    return text if text and _ACCOUNT.fullmatch(text) else None


def _read_date(value: object) -> date | None:
    text = _read_text(value)
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])) if text and _DATE.fullmatch(text) else None
    except ValueError:
        return None


def _read_text(value: object) -> str | None:
    """Text without the blanks that STP pads with, a whole number as text."""
    text = str(value) if type(value) is int and 0 <= value < 10**30 else value
    text = text.strip(" ") if type(text) is str else None
    return text if is_storable_key(text) else None
