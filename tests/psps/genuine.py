"""Genuine deliveries, small enough to be changed in every way, as the receiver of one account sees them."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from config_accounts import DEFAULT_ACCOUNT, read_accounts
from config_reading import Reader
from ingress.framing import Arrival
from ingress.receiver import Door
from psps.adyen import signature as adyen
from psps.base import InvalidSignature, Unparseable
from psps.dlocal import signature as dlocal
from psps.registry import PSPS
from sandbox.keys import ENVIRONMENTS, Keys
from tests.psps.leeway import BODY, QUERY
from tests.psps.simulated import NOW, at, sign

UNREGISTERED = {"adyen": adyen, "dlocal": dlocal}  # signature.py is all there is of these
ADYEN_KEY = "0123456789abcdef" * 4
DLOCAL_LOGIN, DLOCAL_KEY = "tienda-mx", "k3y" * 12
DLOCAL_DATE = "2026-11-23T02:13:20.000Z"  # NOW
BOUNDS = {"past_seconds": 300, "future_seconds": 300}


@dataclass(frozen=True)
class Signed:
    """One delivery at one account. Header values are latin-1, as the receiver hands them over."""

    psp: str
    headers: Mapping[str, str]
    query: str
    body: bytes
    secrets: tuple[str, ...]
    door: Door | None = field(default=None, compare=False)
    now: float = NOW

    def verify(self) -> str | None:
        """The label of the key, None where it is refused. Anything but InvalidSignature is a fault and is raised."""
        is_bounded = self.psp == "dlocal" or (self.psp in PSPS and PSPS[self.psp].tolerates_time)
        module = {"adyen": adyen, "dlocal": dlocal}.get(self.psp) or PSPS[self.psp].signature
        query = dict(parse_qsl(self.query, keep_blank_values=True)) if self.query else {}
        try:
            return module.verify(
                self.headers, query, self.body, self.secrets, at(self.now), **(BOUNDS if is_bounded else {})
            )
        except InvalidSignature as error:
            assert str(error)
            return None

    def tell_stored(self) -> tuple[Any, ...]:
        """What the inbox tells this delivery by, who vouches for it, and what is read in it."""
        if self.door is None:  # signature.py is all there is of this PSP: nothing is stored yet
            return (self.verify(),)
        delivery = self.door.admit(Arrival(self.headers, self.body, query=self.query), at(self.now))
        return (delivery.event_key, delivery.content_digest, delivery.verified_with, self.read())

    def read(self) -> Any:
        """What the worker reads in it; the reason where nothing can be read."""
        try:
            return PSPS[self.psp].events.read({**self.headers, QUERY: self.query}, self.body)
        except Unparseable as error:
            return str(error)

    def part(self, name: str) -> bytes:
        if name in (BODY, QUERY):
            return self.body if name == BODY else self.query.encode("latin-1")
        return self.headers[name].encode("latin-1")

    def change(self, name: str, to: bytes) -> "Signed":
        if name == BODY:
            return replace(self, body=to)
        text = to.decode("latin-1")
        return replace(self, query=text) if name == QUERY else replace(self, headers={**self.headers, name: text})

    def rename(self, name: str, to: bytes) -> "Signed":
        """The same with another name for a header, which is read as the receiver reads it."""
        others = {known: value for known, value in self.headers.items() if known != name}
        return replace(self, headers={**others, to.decode("latin-1").lower(): self.headers[name]})

    @property
    def parts(self) -> tuple[str, ...]:
        return (*self.headers, BODY, *((QUERY,) if self.query else ()))


BODIES = {
    "stripe": b'{"id":"evt_1","object":"event","type":"charge.succeeded","livemode":false}',
    "conekta": b'{"id":"6a1","object":"event","type":"order.expired"}',
    "stp": b'{"id":1,"estado":"CANCELED","empresa":"E"}',
    "mercadopago": b'{"id":7,"type":"payment","data":{"id":"21c0fe"}}',
    "openpay": b'{"type":"charge.created","event_date":"2026-11-23","transaction":{"id":"t1","status":"in_progress"}}',
    "moonpay": b'{"type":"transaction_updated","data":{"id":"m1","status":"pending","updatedAt":"2026-11-23"}}',
    "transak": b'{"webhookData":{"id":"o1","status":"FAILED"},"eventID":"ORDER_FAILED"}',
    "bitso": '{"event":"funding","payload":{"fid":"f1","status":"pending","amount":"1.00","n":"Peñé"}}'.encode(),
    "dlocal": b'{"id":"D-4-1","amount":120.50,"status":"PAID"}',
}
ADYEN_BODY = (
    '{"live":"true","notificationItems":[{"NotificationRequestItem":{"additionalData":{"hmacSignature":"%s"},'
    '"amount":{"currency":"MXN","value":1500},"eventCode":"AUTHORISATION","merchantAccountCode":"Shop",'
    '"merchantReference":"O-1","originalReference":"","paymentMethod":"visa","pspReference":"Q1","success":"true"}}]}'
)


def make_genuine(psp: str, keys: Keys) -> Signed:
    """What this PSP sends at NOW: signed by the simulator, or as its guide says where it has none."""
    if psp == "adyen":
        mac = hmac.digest(bytes.fromhex(ADYEN_KEY), b"Q1::Shop:O-1:1500:MXN:AUTHORISATION:true", "sha256")
        return Signed(psp, {}, "", (ADYEN_BODY % base64.b64encode(mac).decode()).encode(), (ADYEN_KEY,))
    if psp == "dlocal":
        signed = f"{DLOCAL_LOGIN}{DLOCAL_DATE}".encode() + BODIES[psp]
        hexed = hmac.new(DLOCAL_KEY.encode(), signed, hashlib.sha256).hexdigest()
        authorization = f"V2-HMAC-SHA256, Signature: {hexed}"
        headers = {"x-login": DLOCAL_LOGIN, "x-date": DLOCAL_DATE, "authorization": authorization}
        return Signed(psp, headers, "", BODIES[psp], (f"{DLOCAL_LOGIN}:{DLOCAL_KEY}",))
    delivery = sign(psp, BODIES[psp], keys)
    environment = {f"ACUSE_{psp.upper()}_{name}": value for name, value in ENVIRONMENTS[psp](keys[psp]).items()}
    account = read_accounts(Reader(environment))[psp, DEFAULT_ACCOUNT]
    door = Door.of(account, trusted_proxies=0)
    return Signed(psp, delivery.headers, delivery.query_text, delivery.body, account.secrets, door)
