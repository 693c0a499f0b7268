"""Senders that sign as the PSPs do, written from their documentation and apart from the verifiers."""

import base64
import hashlib
import hmac
import json
import time
from itertools import count
from uuid import uuid4

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

STRIPE_SECRET = "whsec_" + "a1b2c3d4e5f6" * 3
STP_USER, STP_PASSWORD = "stp", "a-password-for-stp"
CONEKTA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CONEKTA_PEM = CONEKTA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
RUN = uuid4().hex[:8]
NUMBERS = count(1)


def environment(database_url: str, broker_url: str) -> dict[str, str]:
    """The configuration of a stack that accepts these senders."""
    return {
        "ACUSE_DATABASE_URL": database_url.replace("postgresql+psycopg2://", "postgresql://"),
        "ACUSE_BROKER_URL": broker_url,
        "ACUSE_PSPS": "stripe,conekta,stp",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": STRIPE_SECRET,
        "ACUSE_CONEKTA_WEBHOOK_PUBLIC_KEYS": CONEKTA_PEM.decode().replace("\n", "\\n"),
        "ACUSE_STP_WEBHOOK_USER": STP_USER,
        "ACUSE_STP_WEBHOOK_PASSWORD": STP_PASSWORD,
    }


def stripe_body(event_id: str | None = None, padding_bytes: int = 0, **fields: object) -> bytes:
    number = next(NUMBERS)
    event = {
        "id": event_id or f"evt_{RUN}{number}",
        "object": "event",
        "created": int(time.time()),
        "livemode": False,
        "type": "payment_intent.succeeded",
        "data": {"object": {"id": f"pi_{RUN}{number}", "object": "payment_intent", "amount": 1000, "currency": "mxn"}},
        "padding": "x" * padding_bytes,
    }
    return json.dumps(event | fields).encode()


def stripe_headers(body: bytes, at: float | None = None, secret: str = STRIPE_SECRET) -> dict[str, str]:
    moment = str(int(time.time() if at is None else at))
    mac = hmac.new(secret.encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={moment},v1={mac}", "content-type": "application/json"}


def conekta_headers(body: bytes) -> dict[str, str]:
    signature = CONEKTA_KEY.sign(body, padding.PKCS1v15(), hashes.SHA256())
    return {"digest": base64.b64encode(signature).decode(), "content-type": "application/json"}


def stp_headers(password: str = STP_PASSWORD) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{STP_USER}:{password}".encode()).decode()}


def stp_deposit(clabe: str = "646180110400000007") -> bytes:
    deposit = {
        "id": 3191365,
        "fechaOperacion": 20261123,
        "institucionOrdenante": 40012,
        "claveRastreo": f"MBAN{RUN}{next(NUMBERS)}",
        "monto": 1500.25,
        "cuentaBeneficiario": clabe,
        "empresa": "EMPRESA_PRUEBA",
        "tipoPago": 1,
        "tsLiquidacion": "1795219200123",
    }
    return json.dumps(deposit).encode()
