"""Users and keys as they are written and read. What goes in and what comes out are different schemas."""

from marshmallow import Schema, ValidationError, fields, validate

from ingress.account_terms import LONGEST_EMAIL
from ingress.api.parsing import Input, Line, Moment
from ingress.keys import LONGEST_NAME, SCOPES
from ingress.passwords import LONGEST, SHORTEST
from ingress.tokens import LONGEST_TOKEN

MOST_REQUESTS = 100_000


def _password() -> fields.String:
    return fields.String(required=True, validate=validate.Length(1, LONGEST), metadata={"format": "password"})


def _new_password() -> fields.String:
    return fields.String(required=True, validate=validate.Length(SHORTEST, LONGEST), metadata={"format": "password"})


def _code(required: bool) -> fields.String:
    return fields.String(required=required, validate=validate.Length(6, 7), metadata={"example": "123456"})


class LoginInput(Input):
    """Who logs in. `totp` is the code of the authenticator app, for users who have one."""

    email = fields.String(required=True, validate=validate.Length(3, LONGEST_EMAIL))
    password = _password()
    totp = _code(required=False)


class TokenOutput(Schema):
    """A bearer token. It is shown once."""

    access_token = fields.String(required=True)
    token_type = fields.String(required=True, metadata={"example": "Bearer"})
    expires_in = fields.Integer(required=True, metadata={"description": "Seconds"})
    expires_at = fields.AwareDateTime(required=True)


class PasswordInput(Input):
    """The password that is, and the one that shall be."""

    password = _password()
    new_password = _new_password()


class ResetInput(Input):
    """A token from whoever runs Acuse, and a new password."""

    token = fields.String(required=True, validate=validate.Length(1, LONGEST_TOKEN))
    new_password = _new_password()


class MerchantOutput(Schema):
    """Whose money it is."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)


class MeOutput(Schema):
    """The user who is logged in."""

    id = fields.UUID(required=True)
    email = fields.String(required=True)
    merchant = fields.Nested(MerchantOutput, required=True)
    second_factor = fields.Boolean(required=True)
    created_at = fields.AwareDateTime(required=True)


class BeginInput(Input):
    """The password, once more."""

    password = _password()


class SecretOutput(Schema):
    """What an authenticator app needs. It is shown once."""

    secret = fields.String(required=True, metadata={"description": "Base32"})
    uri = fields.String(required=True, metadata={"description": "For a QR code"})


class CodeInput(Input):
    """The code that the authenticator app shows."""

    totp = _code(required=True)


class RemoveInput(Input):
    """The password and, where the second factor is confirmed, a fresh code of it."""

    password = _password()
    totp = _code(required=False)


def _check_scopes(scopes: list[str]) -> None:
    if not scopes or len(set(scopes)) < len(scopes):
        raise ValidationError("name each scope once, and at least one")


class KeyInput(Input):
    """A key to be made."""

    name = Line(LONGEST_NAME, required=True, metadata={"example": "web shop"})
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        required=True,
        validate=_check_scopes,
        metadata={"minItems": 1, "maxItems": len(SCOPES), "uniqueItems": True},
    )
    expires_at = Moment(metadata={"description": "Without it, the key stays until it is revoked"})
    requests_per_minute = fields.Integer(
        strict=True,
        validate=validate.Range(1, MOST_REQUESTS),
        metadata={"description": "At most 20, or what whoever runs Acuse gave one of your active keys"},
    )


class KeyOutput(Schema):
    """A key as it may be shown."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    prefix = fields.String(required=True)
    scopes = fields.List(fields.String(), required=True)
    status = fields.String(required=True, validate=validate.OneOf(["active", "expired", "revoked"]))
    requests_per_minute = fields.Integer(required=True)
    created_at = fields.AwareDateTime(required=True)
    expires_at = fields.AwareDateTime(required=True, allow_none=True)
    revoked_at = fields.AwareDateTime(required=True, allow_none=True)
    last_used_at = fields.AwareDateTime(required=True, allow_none=True, metadata={"description": "To the minute or so"})


class NewKeyOutput(KeyOutput):
    """A key and its text, which is shown this once."""

    key = fields.String(required=True)


class KeysOutput(Schema):
    """All keys: those that are not revoked first, then the newest."""

    keys = fields.List(fields.Nested(KeyOutput), required=True)
