"""JWTs as Transak writes them: HS256, without padding."""

import base64
import hashlib
import hmac
import secrets

import orjson

HEADER = b'{"alg":"HS256","typ":"JWT"}'
LIFE_SECONDS = 7 * 86_400


def write_jwt(claims: bytes, key: str) -> str:
    """The claims, signed by `key`."""
    signed = b".".join((encode(HEADER), encode(claims)))
    return b".".join((signed, encode(hmac.digest(key.encode(), signed, hashlib.sha256)))).decode()


def new_access_token(api_key: str, now: int) -> str:
    """A Partner Access Token: it is a JWT too, signed by a secret that nobody else has."""
    claims = {"API_KEY": api_key, "jti": secrets.token_hex(8), "iat": now, "exp": now + LIFE_SECONDS}
    return write_jwt(orjson.dumps(claims), secrets.token_hex(32))


def encode(part: bytes) -> bytes:
    return base64.urlsafe_b64encode(part).rstrip(b"=")


def decode(part: bytes) -> bytes:
    return base64.urlsafe_b64decode(part + b"=" * (-len(part) % 4))
