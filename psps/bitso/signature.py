"""x-bitso-webhook-event-signature: RSA PKCS#1 v1.5 with SHA-256 over the compact `payload` alone, standard base64.

x-bitso-key-id names the key. Nothing signs a time, so a replay is caught by the event key. What stands outside the
payload is not signed and says nothing here. The keys are public and the same for all customers of Bitso: a signature proves
that Bitso sent it, and not that it is about our account. Source: docs.bitso.com, webhook signatures.

Bitso's keys change. A delivery whose key id is not configured is refused like any other that proves nothing, and Bitso
does not repeat what is answered with a 4xx: a new key must be configured before Bitso signs with it. What was refused
until then is healed by what is fetched and reconciled.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from cryptography import exceptions as crypto
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from psps.base import InvalidSignature
from psps.bitso.signed import cut_payload, list_signed_forms
from psps.credentials import decode_base64, label_key_id, load_der_key

HEADER, KEY_HEADER = "x-bitso-webhook-event-signature", "x-bitso-key-id"


def verify(
    headers: Mapping[str, str],
    query: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
    now: datetime,
) -> str:
    """`key:<id>` of the `key_id=<base64 DER>` that fits. Raises InvalidSignature, nothing else."""
    header, key_id = headers.get(HEADER), headers.get(KEY_HEADER, "").strip()
    if not header or not key_id:
        raise InvalidSignature("x-bitso-webhook-event-signature or x-bitso-key-id is missing")
    signature = decode_base64(header, "x-bitso-webhook-event-signature")
    keys = [(secret, key) for secret in secrets if (key := _load_named(secret, key_id))]
    if not keys:
        raise InvalidSignature("x-bitso-key-id names none of the configured keys")
    payload = cut_payload(body)
    if payload is None:
        raise InvalidSignature("the body has not exactly one payload object")
    for form in list_signed_forms(payload):
        for secret, key in keys:
            if _fits(key, signature, form):
                return label_key_id(secret)
    raise InvalidSignature("the key that x-bitso-key-id names does not fit the payload")


def _load_named(secret: str, key_id: str) -> RSAPublicKey | None:
    name, _, encoded = secret.partition("=")
    return load_der_key(encoded.strip()) if name.strip() == key_id else None


def _fits(key: RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, PKCS1v15(), SHA256())
    except crypto.InvalidSignature:
        return False
    return True
