"""The secrets that a development stack and its sandbox share: made once, kept in <data-dir>/keys.json, mode 0600."""

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

Keys = dict[str, dict[str, str]]

FILE_NAME = "keys.json"


def ensure_keys(folder: Path) -> Keys:
    """The keys in `folder`, made and saved first where there are none.

    Per PSP: stripe {webhook_secret, api_key}; conekta {private_key_pem, public_key_pem, api_key}; stp {user, password,
    company, client_private_key_pem, client_public_key_pem}. What an older file lacks is added, what it has is kept.
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


MAKERS: dict[str, tuple[set[str], Callable[[], dict[str, str]]]] = {
    "stripe": ({"webhook_secret", "api_key"}, _stripe_keys),
    "conekta": ({"private_key_pem", "public_key_pem", "api_key"}, _conekta_keys),
    "stp": ({"user", "password", "company", "client_private_key_pem", "client_public_key_pem"}, _stp_keys),
}
