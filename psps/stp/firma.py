"""STP's `firma`: RSA PKCS#1 v1.5 with SHA-256 over the joined fields of a request, the "cadena original".

Source: stpmex 3.15.1 (auth.py, resources), whose expected strings the vectors hold. Text is folded to ASCII first, and
what is signed is what is sent.
"""

import base64
import re
import unicodedata
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from psps.writing import write_json

JSON_TYPE = {"content-type": "application/json"}
LONGEST_NAME = 39
LONGEST_TRACKING_KEY = 29
ORDER_FIELDS = (
    "institucionContraparte",
    "empresa",
    "fechaOperacion",
    "folioOrigen",
    "claveRastreo",
    "institucionOperante",
    "monto",
    "tipoPago",
    "tipoCuentaOrdenante",
    "nombreOrdenante",
    "cuentaOrdenante",
    "rfcCurpOrdenante",
    "tipoCuentaBeneficiario",
    "nombreBeneficiario",
    "cuentaBeneficiario",
    "rfcCurpBeneficiario",
    "emailBeneficiario",
    "tipoCuentaBeneficiario2",
    "nombreBeneficiario2",
    "cuentaBeneficiario2",
    "rfcCurpBeneficiario2",
    "conceptoPago",
    "conceptoPago2",
    "claveCatUsuario1",
    "claveCatUsuario2",
    "clavePago",
    "referenciaCobranza",
    "referenciaNumerica",
    "tipoOperacion",
    "topologia",
    "usuario",
    "medioEntrega",
    "prioridad",
    "iva",
)
ACCOUNT_FIELDS = ("empresa", "cuenta", "rfcCurp")
LOOKUP_FIELDS = ("empresa", "claveRastreo", "tipoOrden", "fechaOperacion")
LIST_FIELDS = ("empresa", "tipoOrden", "fechaOperacion")  # `page` is sent and not signed
# Control characters, and the bar that parts the fields of the cadena original.
_UNFIT = re.compile(r"[^ -{}~]+")


def fold_text(text: str, longest: int = LONGEST_NAME) -> str:
    """Plain ASCII without accents, trimmed and cut: STP refuses anything else."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return _UNFIT.sub(" ", plain).strip()[:longest].strip()


def join_fields(sent: Mapping[str, Any], fields: Iterable[str]) -> str:
    """The cadena original: `||a|b|c||`. What is absent is empty, amounts (Decimal) have two decimals."""
    return "||" + "|".join(_write(sent.get(name)) for name in fields) + "||"


def _write(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, Decimal) else str(value)


def sign(sent: Mapping[str, Any], fields: Iterable[str], key: RSAPrivateKey) -> str:
    """The firma of these fields, base64 in one line."""
    signature = key.sign(join_fields(sent, fields).encode("ascii"), PKCS1v15(), SHA256())
    return base64.b64encode(signature).decode("ascii")


def write_signed(sent: Mapping[str, Any], fields: Iterable[str], key: RSAPrivateKey) -> bytes:
    """The JSON of a request with its firma."""
    return write_json({**sent, "firma": sign(sent, fields, key)})
