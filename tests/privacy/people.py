"""A person who exists nowhere, to be planted into every place where a delivery tells of one."""

import json
import re
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine, text

from models.inbox import Delivery
from psps.personal_fields import is_about_person, is_personal, says_nothing
from psps.registry import PSPS
from tests.paper import NOON
from tests.psps.samples import HERE

NAME, EMAIL, PHONE = "Zoraida Canario Xolotl", "zoraida.canario@correo.test", "+52 55 8374 1920"
CLABE, RFC, CURP = "012180015987654320", "CAXZ850230A1B".replace("0230", "0228"), "CAXZ850228MDFNLR08"
WALLET = "0xCanaCanaCanaCanaCanaCanaCanaCanaCanaCana".replace("n", "d")
STREET = "Calle del Canario 77"
TRACES = ("zoraida", "canario", "xolotl", "8374", CLABE, "5987654", RFC.lower(), CURP.lower(), WALLET.lower()[2:])
ORIGINALS = re.compile(
    "maria lopez|juan p|jos[eé] n|jose@|lorm850101|012180004643051249|646180110400000007|710969000032685688"
    "|5555555555|0xc216ed2d|124180000000000019",
    re.IGNORECASE,
)
IN_THE_PLACE_OF = {
    "MARIA LOPEZ RUIZ": NAME.upper(),
    "MARIA LOPEZ": NAME.upper(),
    "012180004643051249": CLABE,
    "LORM850101ABC": RFC,
    "José Núñez": NAME,
    "jose@example.com": EMAIL,
    "+5215555555555": PHONE,
    "Juan Perez": NAME,
    "JUAN PÉREZ": NAME,
    "0xc216eD2D6c295579718dbd4a797845CdA70B3C36": WALLET,
}
SAMPLES = sorted((HERE / "samples").glob("*/*.json"))


def plant(value: Any, name: str = "", *, inside: bool = False) -> Any:
    """The same document with the person in every field that is about one."""
    if isinstance(value, dict):
        inside = inside or is_about_person(name)
        return {key: plant(item, key, inside=inside) for key, item in value.items()}
    if isinstance(value, list):
        return [plant(item, name, inside=inside) for item in value]
    hides = is_personal(name) or (inside and not says_nothing(name))
    return NAME if hides and isinstance(value, str) else value


def people_everywhere(document: dict[str, Any]) -> bytes:
    """The document with the person also in fields that the PSPs are known to send and in free places."""
    more = {
        "payer": {"first_name": NAME, "email": EMAIL, "identification": {"type": "RFC", "number": RFC}},
        "billing_details": {"name": NAME, "phone": PHONE, "address": {"line1": STREET, "city": "Canario"}},
        "cardHolderName": NAME,
        "nombreOrdenante": NAME,
        "rfcCurpOrdenante": CURP,
        "cuentaOrdenante": CLABE,
        "clabe_number": int("9" + CLABE[1:]),
        "metadata": {"said": f"wrote {EMAIL} of {CLABE} and {RFC}, {CURP}, {PHONE}", EMAIL: "x", "wallet": WALLET},
        "link": f"https://pay.example/x?who=canario&mail={EMAIL}",
        "tx": f"to {WALLET}",
        "nested": json.dumps({"customer": {"last_name": NAME}, "note": NAME}),
        "conceptoPago": f"de {NAME}",
    }
    return json.dumps({**plant(document), **more}, ensure_ascii=False).encode()


def bring(psp: str, body: bytes) -> Delivery:
    """A delivery of a PSP as the receiver hands it to the inbox, with headers that name the person too."""
    events = PSPS[psp].events
    return Delivery(
        psp=psp,
        account="default",
        event_key=events.event_key({}, body),
        content_digest=events.content_digest(body),
        body_sha256=sha256(body).digest(),
        headers=[("content-type", "application/json"), ("x-customer", f"{NAME} <{EMAIL}>")],
        body=body,
        verified_with="key",
        redacted=False,
        received_at=NOON,
    )


def bring_all() -> list[Delivery]:
    """What every PSP sends, with the person in the payer's place and in more fields."""
    found = {}
    for path in SAMPLES:
        body = path.read_bytes()
        for known, planted in IN_THE_PLACE_OF.items():
            body = body.replace(known.encode(), planted.encode())
        if path.parent.name == "mercadopago" and not path.stem.startswith("notification"):
            continue  # an answer, not a delivery
        document = {**json.loads(people_everywhere({})), **json.loads(body)}
        delivery = bring(path.parent.name, json.dumps(document, ensure_ascii=False).encode())
        found.setdefault((delivery.psp, delivery.event_key), delivery)
    return list(found.values())


def find_traces(engine: Engine) -> dict[str, set[str]]:
    """The person's traces by the column that holds them, over all columns of all tables."""
    tables = """select relname from pg_class
                where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relispartition"""
    found: dict[str, set[str]] = {}
    with engine.connect() as connection:
        for (table,) in connection.execute(text(tables)).all():
            for row in connection.execute(text(f"select * from {table}")).mappings():
                for name, value in row.items():
                    told = bytes(value).decode("latin-1") if isinstance(value, bytes | memoryview) else str(value)
                    if seen := {trace for trace in TRACES if trace in told.lower()}:
                        found.setdefault(f"{table}.{name}", set()).update(seen)
    return found
