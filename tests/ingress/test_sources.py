"""Where deliveries may come from: the account's networks, and no further left in a header than our own proxies wrote."""

from ipaddress import ip_network

import pytest

from ingress.sources import find_source, is_allowed

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
