"""Adyen's own package as the referee: it signs and we verify. There is no simulated Adyen that it could judge."""

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from Adyen.util import generate_notification_sig, is_valid_hmac_notification

from psps.adyen import signature
from tests.referees.rounds import BODIES, LETTERS, accepts

NOW = datetime.fromtimestamp(1_795_320_000, UTC)
KEY = "0123456789abcdef" * 4
Item = dict[str, Any]


def we_accept(*items: Item) -> bool:
    return accepts(lambda: signature.verify({}, {}, write(*items), [KEY], NOW))


def they_accept(*items: Item) -> bool:
    """What makes the package itself fail is not accepted by it."""
    try:
        return bool(is_valid_hmac_notification(json.loads(write(*items)), KEY))
    except (KeyError, TypeError, ValueError):
        return False


def write(*items: Item) -> bytes:
    return json.dumps(
        {"live": "false", "notificationItems": [{"NotificationRequestItem": one} for one in items]}
    ).encode()


def signed(item: Item) -> Item:
    """By their package."""
    return item | {"additionalData": {"hmacSignature": generate_notification_sig(item, KEY).decode()}}


def random_item(chance: random.Random) -> Item:
    """Values of any letters, colons in the merchant's reference alone."""

    def text(letters: str) -> str:
        return "".join(chance.choices(letters, k=chance.randrange(20)))

    plain = LETTERS.replace(":", "").replace("\0", "")
    item: Item = {
        name: text(plain) for name in ("pspReference", "originalReference", "merchantAccountCode", "eventCode")
    }
    item["merchantReference"] = text(plain + ":")
    item["amount"] = {"value": chance.randrange(10**9), "currency": text(plain)}
    item["success"] = chance.choice(("true", "false"))
    if chance.random() < 0.3:
        del item["originalReference"]
    return item


def test_what_their_package_signs_we_accept_and_a_changed_value_neither_does() -> None:
    chance = random.Random("adyen")
    for _ in range(BODIES):
        item = signed(random_item(chance))
        assert we_accept(item)
        assert they_accept(item)
        name = chance.choice(("pspReference", "merchantAccountCode", "merchantReference", "eventCode", "success"))
        changed = item | {name: item[name] + "x"}
        assert not we_accept(changed)
        assert not they_accept(changed)
        more = item | {"amount": item["amount"] | {"value": item["amount"]["value"] + 1}}
        assert not we_accept(more)
        assert not they_accept(more)


GOOD = signed(
    {
        "pspReference": "Q1",
        "merchantAccountCode": "Shop",
        "merchantReference": "O-1",
        "amount": {"value": 1500, "currency": "MXN"},
        "eventCode": "AUTHORISATION",
        "success": "true",
    }
)
FORGED = GOOD | {"amount": {"value": 9, "currency": "MXN"}}
STRICTER = {
    "a second item that is forged, at which they do not look": (GOOD, FORGED),
    "an amount as a text": (GOOD | {"amount": {"value": "1500", "currency": "MXN"}},),
    "a value that was moved over a colon": (
        signed(GOOD | {"merchantAccountCode": "Shop", "merchantReference": "a:O-1"})
        | {"merchantAccountCode": "Shop:a", "merchantReference": "O-1"},
    ),
}
LAXER = {
    "null for what is missing, which they write as None": (GOOD | {"originalReference": None},),
    "success as a flag, which they write as True": (GOOD | {"success": True},),
}


@pytest.mark.parametrize("items", STRICTER.values(), ids=STRICTER)
def test_a_forgery_that_only_they_accept(items: tuple[Item, ...]) -> None:
    assert they_accept(*items)
    assert not we_accept(*items)


@pytest.mark.parametrize("items", LAXER.values(), ids=LAXER)
def test_a_spelling_that_only_we_accept(items: tuple[Item, ...]) -> None:
    assert we_accept(*items)
    assert not they_accept(*items)


OTHERS: tuple[Callable[[Any], Any], ...] = (
    lambda value: None if type(value) is dict else f"{value}0",
    lambda value: f" {value}",
    lambda value: "",
    lambda value: [value],
    lambda value: {"a": value},
)


def test_of_any_changed_value_our_verdict_is_theirs() -> None:
    for name, value in GOOD.items():
        for other in OTHERS:
            changed = GOOD | {name: other(value)}
            assert we_accept(changed) == they_accept(changed), (name, changed[name])
        without = {known: kept for known, kept in GOOD.items() if known != name}
        assert we_accept(without) == they_accept(without) is False, name


@pytest.mark.parametrize("text", ["", " ", "x", "00" * 32, GOOD["additionalData"]["hmacSignature"][:-1]])
def test_a_signature_that_is_none_neither_accepts(text: str) -> None:
    changed = GOOD | {"additionalData": {"hmacSignature": text}}
    assert not we_accept(changed)
    assert not they_accept(changed)
