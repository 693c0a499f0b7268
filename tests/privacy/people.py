"""A person who exists nowhere, to be planted into every place where a delivery tells of one."""

import json
import re
from typing import Any

from psps.personal_fields import is_about_person, is_personal, says_nothing
from tests.psps.samples import HERE

NAME, EMAIL, PHONE = "Zoraida Canario Xolotl", "zoraida.canario@correo.test", "+52 55 8374 1920"
CLABE, RFC, CURP = "012180015987654325", "CAXZ850230A1B".replace("0230", "0228"), "CAXZ850228MDFNLR08"
WALLET = "0xCanaCanaCanaCanaCanaCanaCanaCanaCanaCana".replace("n", "d")
STREET = "Calle del Canario 77"
TRACES = ("zoraida", "canario", "xolotl", "8374", CLABE, "5987654", RFC.lower(), CURP.lower(), WALLET.lower()[2:])
ORIGINALS = re.compile(
    "maria lopez|juan p|jos[eé] n|jose@|lorm850101|012180004643051249|646180110400000007|710969000032685688"
    "|5555555555|0xc216ed2d|124180000000000019",
    re.IGNORECASE,
)
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
