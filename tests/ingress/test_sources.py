"""Where deliveries may come from: the account's networks, and no further left in a header than our own proxies wrote."""

from collections.abc import Callable, Iterator
from ipaddress import ip_network

import httpx
import pytest

from config import Config
from ingress.sources import find_source, is_allowed
from tests.ingress.conftest import SERVERS, Served
from tests.ingress.senders import STRIPE_SECRET, stripe_body, stripe_headers

NETWORKS = (ip_network("203.0.113.0/24"), ip_network("2001:db8::/32"))


@pytest.mark.parametrize(
    ("proxies", "forwarded", "source"),
    [
        (0, None, "10.0.0.1"),
        (0, "203.0.113.7", "10.0.0.1"),
        (1, "203.0.113.7", "203.0.113.7"),
        (1, "203.0.113.7, 198.51.100.9", "198.51.100.9"),
        (2, "203.0.113.7, 198.51.100.9", "203.0.113.7"),
        (2, "1.1.1.1, 203.0.113.7,198.51.100.9", "203.0.113.7"),
        (2, "203.0.113.7", ""),
        (1, None, ""),
    ],
)
def test_the_source_is_what_our_outermost_proxy_saw(proxies: int, forwarded: str | None, source: str) -> None:
    headers = {"x-forwarded-for": forwarded} if forwarded else {}
    assert find_source("10.0.0.1", headers, proxies) == source


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("203.0.113.7", True),
        ("203.0.114.7", False),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("::ffff:203.0.113.7", True),
        ("::ffff:203.0.114.7", False),
        ("", False),
        ("203.0.113.7:443", False),
        ("0xCB.0.113.7", False),
        ("example.com", False),
    ],
)
def test_an_address_is_allowed_if_a_network_holds_it(address: str, allowed: bool) -> None:
    assert is_allowed(address, NETWORKS) is allowed


SHOP_SECRET = "whsec_" + "z9y8x7w6v5u4" * 3


@pytest.fixture(scope="module", params=list(SERVERS))
def walled(request: pytest.FixtureRequest, make_config: Callable[..., Config]) -> Iterator[Served]:
    """A receiver behind one proxy of ours, with a second account that takes deliveries from one network alone."""
    shop = {
        "ACUSE_TRUSTED_PROXIES": "1",
        "ACUSE_STRIPE__SHOP2__WEBHOOK_SECRETS": SHOP_SECRET,
        "ACUSE_STRIPE__SHOP2__SOURCES": "203.0.113.0/24",
    }
    with SERVERS[request.param](make_config(**shop)) as served:
        yield served


@pytest.mark.parametrize(
    ("path", "secret", "forwarded", "status"),
    [
        ("stripe/shop2", SHOP_SECRET, "203.0.113.7", 200),
        ("stripe/shop2", SHOP_SECRET, "198.51.100.9", 401),
        ("stripe/shop2", SHOP_SECRET, "203.0.113.7, 198.51.100.9", 401),
        ("stripe/shop2", SHOP_SECRET, None, 401),
        ("stripe/shop2", STRIPE_SECRET, "203.0.113.7", 401),
        ("stripe", STRIPE_SECRET, "198.51.100.9", 200),
        ("stripe", SHOP_SECRET, "203.0.113.7", 401),
        ("stripe/shop3", SHOP_SECRET, "203.0.113.7", 404),
    ],
)
def test_each_account_has_its_secrets_and_its_sources(
    walled: Served, path: str, secret: str, forwarded: str | None, status: int
) -> None:
    walled.empty()
    body = stripe_body()
    headers = stripe_headers(body, secret=secret) | ({"x-forwarded-for": forwarded} if forwarded else {})
    answer = httpx.post(f"http://127.0.0.1:{walled.port}/webhooks/{path}", content=body, headers=headers)
    assert answer.status_code == status
    assert walled.count() == (1 if status == 200 else 0)
