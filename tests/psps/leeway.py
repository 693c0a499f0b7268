"""What every verifier must refuse and what it lets pass: for each part of a delivery that is signed, or is the signature, when
a changed one still proves the same, and every change that is let pass with its reason. Nothing here uses the verifiers.
"""

import json
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

BODY, QUERY = ":body", ":query"  # the parts of a delivery that are no header


@dataclass(frozen=True)
class Leeway:
    """A change that is let pass. `example` makes one."""

    reason: str
    example: Callable[[bytes], bytes]


@dataclass(frozen=True)
class Proof:
    """A part that is signed or is the signature. Unless a changed text proves the `same` as the one before, it must be
    refused; the leeways are all the ways in which it may differ and do so."""

    same: Callable[[bytes, bytes], bool]
    leeways: Mapping[str, Leeway] = field(default_factory=dict)


def _by(canon: Callable[[bytes], Hashable]) -> Callable[[bytes, bytes], bool]:
    return lambda before, after: canon(before) == canon(after)


EVERY_BYTE = Proof(lambda before, after: before == after)


def _timed(scheme: bytes) -> Proof:
    def read(text: bytes, name: bytes) -> list[bytes]:
        pairs = [item.partition(b"=")[::2] for item in text.split(b",")]
        return [value for key, value in pairs if key == name]

    def same(before: bytes, after: bytes) -> bool:
        """One time, the one before; of the signatures one that was there before."""
        return read(before, b"t") == read(after, b"t") and bool({*read(before, scheme)} & {*read(after, scheme)})

    return Proof(
        same,
        {
            "signatures of other schemes": Leeway("Stripe's SDK passes over them too", lambda text: text + b",v0=00"),
            "further signatures": Leeway(
                "both keys of a rotation sign, one must fit", lambda text: text + b"," + scheme + b"=00"
            ),
            "pairs of other names, as of a header that another server joined": Leeway(
                "a blank makes another name of it, as in Stripe's SDK", lambda text: text + b", " + text
            ),
            "the time behind the signature": Leeway(
                "the order is free", lambda text: b",".join(text.split(b",")[::-1])
            ),
        },
    )


def _canon_basic(text: bytes) -> Hashable:
    scheme, _, token = text.partition(b" ")
    return scheme.lower(), token.strip(b" ")


def _canon_dlocal(text: bytes) -> Hashable:
    scheme, _, signature = text.partition(b",")
    name, _, value = signature.partition(b":")
    return scheme, name.lstrip(b" "), value.lstrip(b" ")


def _canon_mercadopago(text: bytes) -> Hashable:
    pairs = [item.partition("=")[::2] for item in text.decode("latin-1").split(",")]
    told = [(key.strip().lower(), value.strip()) for key, value in pairs]
    return tuple(sorted(pair for pair in told if pair[0] in ("ts", "v1")))


def _canon_stripped(text: bytes) -> Hashable:
    return text.decode("latin-1").strip()


def _canon_query(text: bytes) -> Hashable:
    return dict(parse_qsl(text.decode("latin-1"), keep_blank_values=True)).get("data.id", "").strip().lower()


def _read_exactly(text: bytes) -> Any:
    """JSON in which members given twice, and digits as they are written, can be told apart."""
    number = lambda digits: ("number", digits)  # noqa: E731
    return json.loads(text, object_pairs_hook=lambda pairs: ("object", pairs), parse_float=number, parse_int=number)


def _canon_bitso(text: bytes) -> Hashable:
    return json.dumps([value for name, value in _read_exactly(text)[1] if name == "payload"])


def _canon_transak(text: bytes) -> Hashable:
    return json.dumps(_read_exactly(text))


def _canon_adyen(text: bytes) -> Hashable:
    return json.dumps([_list_adyen(item["NotificationRequestItem"]) for item in json.loads(text)["notificationItems"]])


def _list_adyen(item: dict[str, Any]) -> list[str]:
    amount = item.get("amount") or {}
    names = ("pspReference", "originalReference", "merchantAccountCode", "merchantReference")
    told = [item.get(name) for name in names]
    told += [amount.get("value"), amount.get("currency"), item.get("eventCode"), item.get("success")]
    signed = ["" if value is None else str(value).lower() if type(value) is bool else str(value) for value in told]
    return [*signed, item["additionalData"]["hmacSignature"]]


def _escape_letters(text: bytes) -> bytes:
    return text.replace("é".encode(), b"\\u00e9")


def _pad(text: bytes, *marks: bytes) -> bytes:
    for mark in marks:
        text = text.replace(mark, b" \t" + mark + b" \r\n")
    return text


BASIC = Proof(
    _by(_canon_basic),
    {
        "case of the scheme": Leeway("RFC 7617: the scheme has no case", lambda text: text.replace(b"Basic", b"bAsIC")),
        "blanks around the token": Leeway(
            "RFC 9110 lets senders pad; the credentials are compared whole",
            lambda text: text.replace(b" ", b"   ") + b" ",
        ),
    },
)
STRIPPED = {"white space around it": Leeway("no id begins or ends so", lambda text: b" " + text + b"\t")}
PROOFS: dict[str, dict[str, Proof]] = {
    "stripe": {BODY: EVERY_BYTE, "stripe-signature": _timed(b"v1")},
    "moonpay": {BODY: EVERY_BYTE, "moonpay-signature-v2": _timed(b"s")},
    "conekta": {BODY: EVERY_BYTE, "digest": EVERY_BYTE},
    "stp": {"authorization": BASIC},
    "openpay": {"authorization": BASIC},
    "mercadopago": {
        "x-signature": Proof(
            _by(_canon_mercadopago),
            {
                "case of the names": Leeway("Mercado Pago's SDK lowers them", lambda text: text.replace(b"ts", b"TS")),
                "white space around names and values": Leeway("its SDK strips them", lambda text: _pad(text, b"=", b",")),
                "order of the pairs": Leeway("no text fixes it", lambda text: b",".join(text.split(b",")[::-1])),
                "pairs of other names": Leeway("later versions are signed beside v1", lambda text: text + b",v2=00,x"),
            },
        ),
        "x-request-id": Proof(_by(_canon_stripped), STRIPPED),
        QUERY: Proof(
            _by(_canon_query),
            {
                "all but data.id": Leeway("it is not signed, and only a hint", lambda text: text + b"&type=x&more=1"),
                "how it is percent-encoded": Leeway("the value is signed, not its spelling", lambda text: text.replace(b".", b"%2e")),
                "white space around the id": Leeway("the reader strips it like the verifier", lambda text: text.replace(b"id=", b"id=+")),
                "an earlier data.id": Leeway("the last counts for verifier and reader", lambda text: b"data.id=9&" + text),
            },
        ),
    },
    "bitso": {
        BODY: Proof(
            _by(_canon_bitso),
            {
                "what stands around the payload": Leeway("it is not signed, and never read", lambda text: text.replace(b"funding", b"x")),
                "white space between tokens": Leeway("the compact form is signed", lambda text: _pad(text, b":", b"{", b",")),
                "letters written out or escaped": Leeway("which of both is signed is not known", _escape_letters),
            },
        ),
        "x-bitso-webhook-event-signature": EVERY_BYTE,
        "x-bitso-key-id": Proof(_by(_canon_stripped), STRIPPED),
    },
    "transak": {
        BODY: Proof(
            _by(_canon_transak),
            {"white space outside the token": Leeway("JSON; the token alone is signed", lambda text: _pad(text, b"{", b":", b"}"))},
        )
    },
    "adyen": {
        BODY: Proof(
            _by(_canon_adyen),
            {
                "fields that are not signed": Leeway("Adyen signs eight of them; no other may move money", lambda text: text.replace(b"visa", b"oxxo")),
                "how the JSON is written": Leeway("values are signed", lambda text: json.dumps(json.loads(text), indent=1).encode()),
                "success as a flag": Leeway("Adyen sends both", lambda text: text.replace(b'"true"', b"true")),
                "null for what is empty": Leeway("a missing value is empty in the signed text", lambda text: text.replace(b'""', b"null")),
            },
        )
    },
    "dlocal": {
        BODY: EVERY_BYTE,
        "x-login": EVERY_BYTE,
        "x-date": EVERY_BYTE,
        "authorization": Proof(
            _by(_canon_dlocal),
            {"blanks before Signature and before the hex": Leeway("their samples have one and none", lambda text: text.replace(b" ", b"   "))},
        ),
    },
}  # fmt: skip
