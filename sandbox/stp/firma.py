"""The `firma` that STP asks of its clients: RSA over the joined fields of a request ("cadena original")."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

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
LOOKUP_FIELDS = ("empresa", "claveRastreo", "tipoOrden", "fechaOperacion")
LIST_FIELDS = ("empresa", "tipoOrden", "fechaOperacion")  # `page` is not signed


def join_fields(sent: Mapping[str, Any], fields: Iterable[str]) -> str:
    """The cadena original: what is absent is empty, decimals have two places. `sent` holds Decimals, not floats."""
    return "||" + "|".join(_written(sent.get(name)) for name in fields) + "||"


def _written(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if isinstance(value, Decimal) else str(value)


def is_signed(sent: Mapping[str, Any], fields: Iterable[str], public_key_pem: str) -> bool:
    """Whether `sent["firma"]` is the client's PKCS#1 v1.5 SHA-256 signature, base64, of the cadena original."""
    key = serialization.load_pem_public_key(public_key_pem.encode())
    if not isinstance(key, rsa.RSAPublicKey):
        raise TypeError("stp.client_public_key_pem in keys.json must be an RSA key")
    try:
        signature = base64.b64decode(str(sent.get("firma", "")), validate=True)
        key.verify(signature, join_fields(sent, fields).encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, binascii.Error):
        return False
    return True
