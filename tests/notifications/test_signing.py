"""Our signatures are those of Standard Webhooks: its own package verifies them, and refuses what was changed."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from notifications.signing import new_secret, sign

BODY = '{"type":"payment.completed","note":"peñón"}'.encode()


def verify(secret: str, headers: list[tuple[str, str]], body: bytes = BODY) -> None:
    Webhook(secret).verify(body, dict(headers), json_parse=False)


def test_a_new_secret_is_like_no_other_and_has_256_bits():
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50
    assert all(len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32 for secret in secrets)
    assert all(secret.startswith("whsec_") for secret in secrets)


def test_the_official_package_verifies_what_we_sign():
    secret = new_secret()
    headers = sign([secret], "msg-1", datetime.now(UTC), BODY)
    assert [name for name, _ in headers] == ["webhook-id", "webhook-timestamp", "webhook-signature"]
    assert Webhook(secret).verify(BODY, dict(headers)) == {"type": "payment.completed", "note": "peñón"}


def test_we_sign_as_the_official_package_does():
    secret, at = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", datetime(2021, 2, 25, 16, 6, 54, 999_999, tzinfo=UTC)
    (_, message_id), (_, timestamp), (_, signature) = sign([secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 1}')
    assert (message_id, timestamp) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", str(int(at.timestamp())))
    assert signature == Webhook(secret).sign(message_id, at, '{"test": 1}')


def test_during_a_rotation_both_secrets_verify_and_no_third_one():
    new, old = new_secret(), new_secret()
    headers = sign([new, old], "msg-1", datetime.now(UTC), BODY)
    assert len(dict(headers)["webhook-signature"].split(" ")) == 2
    verify(new, headers)
    verify(old, headers)
    with pytest.raises(WebhookVerificationError):
        verify(new_secret(), headers)


@pytest.mark.parametrize("at", [0, 20, len(BODY) - 1])
def test_one_bit_flipped_in_the_body_is_refused(at: int):
    secret = new_secret()
    headers = sign([secret], "msg-1", datetime.now(UTC), BODY)
    changed = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
    with pytest.raises(WebhookVerificationError):
        verify(secret, headers, changed)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp"])
def test_a_changed_header_is_refused(name: str):
    secret = new_secret()
    headers = dict(sign([secret], "1", datetime.now(UTC), BODY))
    headers[name] = str(int(headers[name]) + 1)
    with pytest.raises(WebhookVerificationError):
        verify(secret, list(headers.items()))


def test_a_later_attempt_keeps_its_id_and_is_signed_anew():
    secret, now = new_secret(), datetime.now(UTC)
    first, second = (dict(sign([secret], "msg-1", at, BODY)) for at in (now - timedelta(minutes=6), now))
    assert first["webhook-id"] == second["webhook-id"]
    assert first["webhook-signature"] != second["webhook-signature"]
    verify(secret, list(second.items()))
    with pytest.raises(WebhookVerificationError, match="too old"):
        verify(secret, list(first.items()))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_c2hvcnQ=",
        "whsec_not base64 " + "a" * 40,
        pytest.param(new_secret().removeprefix("whsec_"), id="without its beginning"),
        "whsec_ñ" * 9,
    ],
)
def test_a_malformed_secret_signs_nothing_and_is_not_told(secret: str):
    with pytest.raises(ValueError, match=r"\Aa secret is malformed\Z"):
        sign([new_secret(), secret], "msg-1", datetime.now(UTC), BODY)


def test_what_could_not_be_verified_is_not_signed():
    for secrets, message_id, at in (
        ([], "msg-1", datetime.now(UTC)),
        ([new_secret()], "", datetime.now(UTC)),
        ([new_secret()], "msg.1", datetime.now(UTC)),
        ([new_secret()], "msg-1", datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
    ):
        with pytest.raises(ValueError, match=r"secret|id|naive"):
            sign(secrets, message_id, at, BODY)
