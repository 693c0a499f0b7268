"""The secrets that a development stack and its sandbox share: made once, kept in <data-dir>/keys.json, mode 0600."""

import json
import os
import secrets
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.identity import complete_clabe
from sandbox.mercadopago.objects import COLLECTOR_ID
from sandbox.transak.tokens import new_access_token

Keys = dict[str, dict[str, str]]

FILE_NAME = "keys.json"


def ensure_keys(folder: Path) -> Keys:
    """The keys in `folder`, made and saved first where there are none.

    Per PSP: stripe {webhook_secret, api_key}; conekta {private_key_pem, public_key_pem, api_key}; stp {user, password,
    company, client_private_key_pem, client_public_key_pem}; mercadopago {webhook_secret, api_key}; openpay {user,
    password, merchant_id, api_key}; moonpay {webhook_secret, api_key, publishable_key}; transak {access_token,
    previous_access_token, api_key, api_secret}; bitso {private_key_pem, public_key_der, key_id, api_key, api_secret}.
    What an older file lacks is added, what it has is kept.
    """
    path = folder / FILE_NAME
    kept: Keys = load_keys(path) if path.exists() else {}
    keys = {psp: _complete(kept.get(psp, {}), names, make) for psp, (names, make) in MAKERS.items()}
    if keys != kept:
        _save(path, keys)
    return keys


def load_keys(path: Path) -> Keys:
    """The keys in the file `path`. Raises OSError or ValueError where it cannot be read."""
    keys: Keys = json.loads(path.read_text(encoding="utf-8"))
    return keys


def _complete(kept: dict[str, str], names: set[str], make: Callable[[], dict[str, str]]) -> dict[str, str]:
    return kept if names <= kept.keys() else {**make(), **kept}


def _stripe_keys() -> dict[str, str]:
    return {
        "webhook_secret": "whsec_" + secrets.token_hex(20),
        "api_key": "sk_test_" + secrets.token_hex(20),
    }


def _conekta_keys() -> dict[str, str]:
    private, public = _rsa_pair()
    return {"private_key_pem": private, "public_key_pem": public, "api_key": "key_" + secrets.token_hex(12)}


def _stp_keys() -> dict[str, str]:
    private, public = _rsa_pair()
    return {
        "user": "stp-webhook",
        "password": secrets.token_urlsafe(24),
        "company": "EMPRESA_PRUEBA",
        "client_private_key_pem": private,
        "client_public_key_pem": public,
    }


def _mercadopago_keys() -> dict[str, str]:
    return {
        "webhook_secret": secrets.token_hex(32),
        "api_key": f"TEST-{secrets.randbelow(10**16):016}-112233-{secrets.token_hex(16)}-{COLLECTOR_ID}",
    }


def _openpay_keys() -> dict[str, str]:
    return {
        "user": "openpay-webhook",
        "password": secrets.token_urlsafe(24),
        "merchant_id": "m" + secrets.token_hex(10),
        "api_key": "sk_" + secrets.token_hex(16),
    }


def _moonpay_keys() -> dict[str, str]:
    return {
        "webhook_secret": "wk_test_" + secrets.token_hex(20),
        "api_key": "sk_test_" + secrets.token_hex(20),
        "publishable_key": "pk_test_" + secrets.token_hex(16),
    }


def _transak_keys() -> dict[str, str]:
    api_key, now = str(uuid.uuid4()), int(time.time())
    return {
        "access_token": new_access_token(api_key, now),
        "previous_access_token": new_access_token(api_key, now - 6 * 86_400),
        "api_key": api_key,
        "api_secret": secrets.token_urlsafe(32),
    }


def _bitso_keys() -> dict[str, str]:
    private, public = _rsa_pair()
    return {
        "private_key_pem": private,
        "public_key_der": "".join(public.splitlines()[1:-1]),
        "key_id": str(uuid.uuid4()),
        "api_key": "bx_" + secrets.token_hex(10),
        "api_secret": secrets.token_hex(20),
    }


def _rsa_pair() -> tuple[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def _save(path: Path, keys: Keys) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(keys, file, indent=2)
    fresh.replace(path)


def _stripe_environment(keys: dict[str, str]) -> dict[str, str]:
    return {"WEBHOOK_SECRETS": keys["webhook_secret"], "API_KEY": keys["api_key"]}


def _conekta_environment(keys: dict[str, str]) -> dict[str, str]:
    return {"WEBHOOK_PUBLIC_KEYS": _on_one_line(keys["public_key_pem"]), "API_KEY": keys["api_key"]}


def _stp_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "WEBHOOK_USER": keys["user"],
        "WEBHOOK_PASSWORD": keys["password"],
        "COMPANY": keys["company"],
        "PRIVATE_KEY": _on_one_line(keys["client_private_key_pem"]),
        "ORDERING_CLABE": complete_clabe("64618011040000000"),
    }


def _mercadopago_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "WEBHOOK_SECRETS": keys["webhook_secret"],
        "API_KEY": keys["api_key"],
        "COLLECTOR_ID": str(COLLECTOR_ID),
    }


def _openpay_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "WEBHOOK_USER": keys["user"],
        "WEBHOOK_PASSWORD": keys["password"],
        "API_KEY": keys["api_key"],
        "MERCHANT_ID": keys["merchant_id"],
    }


def _moonpay_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "WEBHOOK_SECRETS": keys["webhook_secret"],
        "API_KEY": keys["api_key"],
        "PUBLISHABLE_KEY": keys["publishable_key"],
    }


def _transak_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "ACCESS_TOKENS": f"{keys['access_token']},{keys['previous_access_token']}",
        "API_KEY": keys["api_key"],
        "API_SECRET": keys["api_secret"],
    }


def _bitso_environment(keys: dict[str, str]) -> dict[str, str]:
    return {
        "WEBHOOK_PUBLIC_KEYS": f"{keys['key_id']}={keys['public_key_der']}",
        "API_KEY": keys["api_key"],
        "API_SECRET": keys["api_secret"],
    }


def _on_one_line(pem: str) -> str:
    return pem.replace("\n", "\\n")


# What a receiver and its workers must be told so that they and the sandbox understand each other: the variables
# ACUSE_<PSP>_<NAME> by PSP and name. The API's address is <sandbox>/<psp> for all of them.
ENVIRONMENTS: dict[str, Callable[[dict[str, str]], dict[str, str]]] = {
    "stripe": _stripe_environment,
    "conekta": _conekta_environment,
    "stp": _stp_environment,
    "mercadopago": _mercadopago_environment,
    "openpay": _openpay_environment,
    "moonpay": _moonpay_environment,
    "transak": _transak_environment,
    "bitso": _bitso_environment,
}

MAKERS: dict[str, tuple[set[str], Callable[[], dict[str, str]]]] = {
    "stripe": ({"webhook_secret", "api_key"}, _stripe_keys),
    "conekta": ({"private_key_pem", "public_key_pem", "api_key"}, _conekta_keys),
    "stp": ({"user", "password", "company", "client_private_key_pem", "client_public_key_pem"}, _stp_keys),
    "mercadopago": ({"webhook_secret", "api_key"}, _mercadopago_keys),
    "openpay": ({"user", "password", "merchant_id", "api_key"}, _openpay_keys),
    "moonpay": ({"webhook_secret", "api_key", "publishable_key"}, _moonpay_keys),
    "transak": ({"access_token", "previous_access_token", "api_key", "api_secret"}, _transak_keys),
    "bitso": ({"private_key_pem", "public_key_der", "key_id", "api_key", "api_secret"}, _bitso_keys),
}
