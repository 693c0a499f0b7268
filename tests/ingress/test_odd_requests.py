"""Requests that are almost right: each has one answer, which the document knows, and none is an error of ours."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from config import Config
from tests.ingress.merchants import Market, Shop, serve_market

VOUCHER = {"method": "oxxo", "amount_minor": 1, "psp": "conekta"}


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    keys = {"ACUSE_CONEKTA_API_KEY": "key_" + "x" * 24, "ACUSE_CONEKTA_API_URL": "http://127.0.0.1:9/conekta"}
    with serve_market(make_config(**keys), answer_wait=0.02) as market:
        yield market


@pytest.fixture(scope="module")
def shop(market: Market) -> Shop:
    return market.open_shop()


def read_problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    assert answer.json()["status"] == answer.status_code
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("days", ["last_day=9999-12-31", "first_day=9999-12-31&last_day=9999-12-31"])
def test_the_last_day_of_the_calendar_has_no_day_after_it(shop: Shop, days: str) -> None:
    assert read_problem(shop.client.get(f"/v1/balance-summary?{days}")) == (422, "invalid")


@pytest.mark.parametrize("days", ["first_day=0001-01-01&last_day=0001-01-02", "last_day=0001-01-07"])
def test_the_first_days_of_the_calendar_are_days(shop: Shop, days: str) -> None:
    assert shop.client.get(f"/v1/balance-summary?{days}").status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        {"currency": "MXN\n"},
        {"account": "default\n"},
        {"method": "crypto_onramp", "psp": "transak", "crypto": {"asset": "usdc\n"}},
        {"method": "crypto_onramp", "psp": "transak", "crypto": {"asset": "usdc", "network": "polygon\n"}},
    ],
)
def test_a_line_end_is_no_part_of_a_word(shop: Shop, change: dict[str, Any]) -> None:
    assert read_problem(shop.client.post("/v1/payments", json=VOUCHER | change)) == (422, "invalid")
    assert read_problem(shop.client.get("/v1/payments", params={"currency": "MXN\n"})) == (422, "invalid")


@pytest.mark.parametrize("number", ["1_0", "+5", " 5", "5 ", "\u0665", "5.0", "0x5", "", "9" * 20])
def test_a_number_is_written_in_plain_digits(shop: Shop, number: str) -> None:
    for name in ("limit", "amount_min", "amount_max"):
        assert read_problem(shop.client.get("/v1/payments", params={name: number})) == (422, "invalid"), name
    assert shop.client.get("/v1/payments", params={"limit": "5", "amount_min": "0"}).status_code == 200


def test_no_condition_but_if_none_match_changes_a_read(shop: Shop) -> None:
    path = f"/v1/payments/{shop.add_payment()}"
    tag = shop.client.get(path).headers["etag"]
    for headers in (
        {"If-Match": '"other"'},
        {"If-Modified-Since": "Thu, 01 Jan 2099 00:00:00 GMT"},
        {"Range": "bytes=9-"},
    ):
        assert shop.client.get(path, headers=headers).status_code == 200, headers
    for told in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        answer = shop.client.get(path, headers={"If-None-Match": told})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag), told
    for told in ('"other"', "", tag[:-2]):
        assert shop.client.get(path, headers={"If-None-Match": told}).status_code == 200, told


def test_nobody_is_sent_elsewhere(shop: Shop) -> None:
    for path in ("/v1//payments", "/v1/payments/", "//v1/payments"):
        answer = shop.client.get(path, headers={"Host": "elsewhere.example.com"})
        assert answer.status_code == 404 and "location" not in answer.headers, path


def test_what_the_edge_refuses_is_a_problem_too(shop: Shop) -> None:
    json_type = {"Content-Type": "application/json"}
    large = shop.client.post("/v1/payments", content=b" " * 3_000_000, headers=json_type)
    assert read_problem(large) == (413, "too-large")
    packed = shop.client.post("/v1/payments", content=b"x", headers=json_type | {"Content-Encoding": "gzip"})
    assert read_problem(packed) == (415, "unsupported-media-type")
    webhook = shop.client.post("/webhooks/stripe", content=json.dumps({}), headers={"Content-Encoding": "gzip"})
    assert (webhook.status_code, webhook.headers["content-type"]) == (415, "application/json")
