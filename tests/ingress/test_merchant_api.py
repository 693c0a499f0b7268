"""The merchant API over real sockets, Postgres and Redis; what its PSPs do is in tests/system."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import text

from config import Config
from tests.ingress.merchants import Market, Shop, serve_market

VOUCHER = {"method": "oxxo", "amount_minor": 15_000, "reference": "ORD-1", "psp": "conekta"}


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    config = make_config(ACUSE_CONEKTA_API_KEY="key_" + "x" * 24, ACUSE_CONEKTA_API_URL="http://127.0.0.1:9/conekta")
    with serve_market(config) as market:
        yield market


@pytest.fixture
def shop(market: Market) -> Shop:
    return market.open_shop()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["type"] == f"urn:acuse:problem:{body['code']}" and body["status"] == answer.status_code
    assert body["title"] and body["detail"]
    return answer.status_code, body["code"]


def count(market: Market, query: str, **values: Any) -> int:
    with market.engine.connect() as connection:
        return int(connection.scalar(text(query), values) or 0)


def test_a_payment_is_read_by_its_merchant_alone(market: Market, shop: Shop) -> None:
    payment_id = shop.add_payment(merchant_reference="ORD-1")
    answer = shop.client.get(f"/v1/payments/{payment_id}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["reference"] == "ORD-1"
    assert code_of(market.open_shop().client.get(f"/v1/payments/{payment_id}")) == (404, "not-found")
    assert code_of(shop.client.get(f"/v1/payments/{uuid4()}")) == (404, "not-found")


def test_a_read_that_has_not_changed_is_not_sent_again(shop: Shop) -> None:
    payment_id = shop.add_payment()
    first = shop.client.get(f"/v1/payments/{payment_id}")
    again = shop.client.get(f"/v1/payments/{payment_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with shop.engine.begin() as connection:
        connection.execute(text("update payments set state = 'refunded' where id = :id"), {"id": payment_id})
    changed = shop.client.get(f"/v1/payments/{payment_id}", headers={"If-None-Match": first.headers["etag"]})
    assert (changed.status_code, changed.json()["state"]) == (200, "refunded")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ak_no", "Basic abc", "Bearer ak_\xff", "Bearer " + "a" * 999]
)
def test_without_a_valid_key_nothing_is_said(market: Market, header: str | None) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    answer = httpx.get(market.base_url + "/v1/payments", headers=headers, trust_env=False)
    assert code_of(answer) == (401, "unauthorized")
    assert answer.headers["www-authenticate"] == 'Bearer realm="acuse"'


def test_a_key_may_do_what_its_scopes_say(market: Market) -> None:
    reader = market.open_shop(scopes=("read",))
    payment_id = reader.add_payment()
    assert reader.client.get("/v1/payments").status_code == 200
    assert code_of(reader.client.post("/v1/payments", json=VOUCHER)) == (403, "scope-missing")
    assert code_of(reader.client.post(f"/v1/payments/{payment_id}/refunds", json={})) == (403, "scope-missing")
    writer = market.open_shop(scopes=("write",))
    assert code_of(writer.client.get("/v1/payments")) == (403, "scope-missing")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"amount_minor": 150.0}, "amount_minor"),
        ({"amount_minor": "150"}, "amount_minor"),
        ({"amount_minor": True}, "amount_minor"),
        ({"amount_minor": 0}, "amount_minor"),
        ({"amount_minor": -1}, "amount_minor"),
        ({"amount_minor": 10**30}, "amount_minor"),
        ({"amount_minor": None}, "amount_minor"),
        ({"method": "cash"}, "method"),
        ({"currency": "mxn"}, "currency"),
        ({"state": "completed"}, "state"),
        ({"merchant_id": str(uuid4())}, "merchant_id"),
        ({"received_minor": 1}, "received_minor"),
        ({"payer": {"is_admin": True}}, "payer.is_admin"),
        ({"reference": "two\nlines"}, "reference"),
        ({"description": "card 4111 1111 1111 1111"}, "description"),
        ({"card_token": "4111111111111111"}, "card_token"),
        ({"expires_at": "2026-12-01T00:00:00"}, "expires_at"),
        ({"account": "other", "psp": None}, "psp"),
        ({"crypto": {"asset": "usdc"}}, "crypto"),
        ({"return_url": "http://example.com"}, "return_url"),
    ],
)
def test_what_is_not_expected_is_refused_and_makes_nothing(
    market: Market, shop: Shop, change: dict[str, Any], field: str
) -> None:
    answer = shop.client.post("/v1/payments", json={**VOUCHER, **change})
    assert code_of(answer) == (422, "invalid")
    assert field in [error["field"] for error in answer.json()["errors"]]
    assert count(market, "select count(*) from payments where merchant_id = :id", id=shop.merchant_id) == 0


@pytest.mark.parametrize(
    ("body", "kind", "expected"),
    [
        (b"{", "application/json", (400, "malformed-json")),
        (b'{"method": "oxxo", "method": "spei"}', "application/json", (400, "malformed-json")),
        (b'{"amount_minor": NaN}', "application/json", (400, "malformed-json")),
        (b'{"amount_minor": ' + b"9" * 5000 + b"}", "application/json", (400, "malformed-json")),
        (b"[" * 5000, "application/json", (400, "malformed-json")),
        (b'{"reference": "\\u0000"}', "application/json", (400, "malformed-json")),
        (b'"text"', "application/json", (400, "malformed-json")),
        (b"method=oxxo", "application/x-www-form-urlencoded", (415, "unsupported-media-type")),
        (b"", "application/json", (422, "invalid")),
    ],
)
def test_a_body_that_cannot_be_read_in_one_way_is_refused(
    shop: Shop, body: bytes, kind: str, expected: tuple[int, str]
) -> None:
    assert code_of(shop.client.post("/v1/payments", content=body, headers={"Content-Type": kind})) == expected


def test_unknown_paths_methods_and_parameters_are_problems_too(shop: Shop) -> None:
    assert code_of(shop.client.get("/v1/nothing")) == (404, "not-found")
    assert code_of(shop.client.get("/v1/payments/not-an-id")) == (404, "not-found")
    put = shop.client.put("/v1/payments")
    assert code_of(put) == (405, "method-not-allowed")
    assert set(put.headers["allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "POST"}
    assert code_of(shop.client.get("/v1/payments?colour=red")) == (422, "invalid")
    assert code_of(shop.client.get("/v1/payments?state=paid")) == (422, "invalid")
    assert code_of(shop.client.get("/v1/payments?limit=101")) == (422, "invalid")
    assert code_of(shop.client.get("/v1/payments?limit=1&limit=2")) == (422, "invalid")
    assert code_of(shop.client.get("/v1/payments?cursor=AAAA")) == (422, "invalid")
    assert code_of(shop.client.get("/v1/payments?search=ab")) == (422, "invalid")


def test_pages_stay_as_they_are_while_payments_are_added(shop: Shop) -> None:
    now = datetime.now(UTC)
    made = [shop.add_payment(created_at=now - timedelta(seconds=n // 3)) for n in range(25)]  # three share each second
    seen, cursor = [], None
    while True:
        page = shop.client.get("/v1/payments", params={"limit": 4, **({"cursor": cursor} if cursor else {})}).json()
        seen += [payment["id"] for payment in page["payments"]]
        shop.add_payment(created_at=now + timedelta(seconds=1))
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == sorted(str(payment_id) for payment_id in made)
    assert len(seen) == len(set(seen))


def test_filters_find_what_they_name(shop: Shop) -> None:
    now = datetime.now(UTC)
    old = shop.add_payment(state="failed", method="oxxo", psp="conekta", amount_minor=5, received_minor=0)
    new = shop.add_payment(created_at=now + timedelta(hours=1))

    def found(**query: Any) -> list[str]:
        answer = shop.client.get("/v1/payments", params=query)
        assert answer.status_code == 200, answer.text
        return [payment["id"] for payment in answer.json()["payments"]]

    assert found() == [str(new), str(old)]
    for query in ({"state": "failed"}, {"method": "oxxo"}, {"psp": "conekta"}, {"amount_max": 5}):
        assert found(**query) == [str(old)]
    between = (now + timedelta(minutes=30)).isoformat()
    assert found(created_from=between) == [str(new)]
    assert found(created_to=between) == [str(old)]
    assert found(currency="USD") == []


def test_the_balance_is_summed_by_the_civil_day_in_mexico(shop: Shop) -> None:
    for at in ("2026-03-01T05:59:59Z", "2026-03-01T06:00:00Z", "2026-03-02T05:59:59Z"):  # midnight there is 06:00 UTC
        shop.add_payment(created_at=datetime.fromisoformat(at))
    answer = shop.client.get("/v1/balance-summary", params={"first_day": "2026-02-28", "last_day": "2026-03-01"})
    assert answer.status_code == 200, answer.text
    assert [(row["day"], row["count"], row["received_minor"]) for row in answer.json()["sums"]] == [
        ("2026-02-28", 1, 15_000),
        ("2026-03-01", 2, 30_000),
    ]
    assert shop.client.get("/v1/balance-summary").json()["sums"] == []
    for query in (
        {"first_day": "2026-01-01", "last_day": "2026-06-01"},
        {"first_day": "2026-02-02", "last_day": "2026-02-01"},
    ):
        assert code_of(shop.client.get("/v1/balance-summary", params=query)) == (422, "invalid")
    assert code_of(shop.client.get("/v1/balance-summary?last_day=0001-01-01")) == (422, "invalid")


def test_fifty_at_once_under_one_key_make_one_payment_with_one_answer(market: Market, shop: Shop) -> None:
    headers = {"Idempotency-Key": "order 1"}

    def post(_: int) -> httpx.Response:
        return shop.client_with(shop.key).post("/v1/payments", json=VOUCHER, headers=headers)

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(post, range(50)))
    assert {answer.status_code for answer in answers} == {202}, {answer.text for answer in answers}
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.headers.get("idempotent-replayed") == "true" for answer in answers) == 49
    assert count(market, "select count(*) from payments where merchant_id = :id", id=shop.merchant_id) == 1
    assert (
        count(
            market,
            "select count(*) from attempts a join payments p on p.id = a.payment_id where merchant_id = :id",
            id=shop.merchant_id,
        )
        == 1
    )


def test_a_key_belongs_to_one_request_of_one_merchant(market: Market, shop: Shop) -> None:
    headers = {"Idempotency-Key": "k"}
    first = shop.client.post("/v1/payments", json=VOUCHER, headers=headers)
    assert (first.status_code, first.json()["creation"]["status"]) == (202, "ready")
    other = shop.client.post("/v1/payments", json={**VOUCHER, "amount_minor": 1}, headers=headers)
    assert code_of(other) == (409, "idempotency-key-reused")
    elsewhere = shop.client.post(f"/v1/payments/{first.json()['id']}/cancel", headers=headers)
    assert code_of(elsewhere) == (409, "idempotency-key-reused")
    stranger = market.open_shop().client.post("/v1/payments", json=VOUCHER, headers=headers)
    assert stranger.json()["id"] != first.json()["id"] and "idempotent-replayed" not in stranger.headers
    for key in ("", "x" * 256, "caf\xe9", "4242424242424242", "order 4242-4242-4242-4242"):
        answer = shop.client.post("/v1/payments", json=VOUCHER, headers={"Idempotency-Key": key.encode("latin-1")})
        assert code_of(answer) == (422, "invalid")


def test_what_was_refused_leaves_its_key_free(shop: Shop) -> None:
    headers = {"Idempotency-Key": "k"}
    payment_id = shop.add_payment(received_minor=15_000)
    too_much = shop.client.post(f"/v1/payments/{payment_id}/refunds", json={"amount_minor": 15_001}, headers=headers)
    assert code_of(too_much) == (409, "not-possible")
    assert "15000 of 15000 are left" in too_much.json()["detail"]
    right = shop.client.post(f"/v1/payments/{payment_id}/refunds", json={"amount_minor": 15_000}, headers=headers)
    assert (right.status_code, right.json()["status"]) == (202, "ready")
    again = shop.client.post(f"/v1/payments/{payment_id}/refunds", json={"amount_minor": 15_000}, headers=headers)
    assert (again.content, again.headers["idempotent-replayed"]) == (right.content, "true")


@pytest.mark.parametrize(
    ("psp", "method", "words"),
    [
        ("stripe", "oxxo", "SPEI payout"),
        ("stp", "spei", "SPEI payout"),
        ("openpay", "spei", "SPEI payout"),
        ("moonpay", "crypto_onramp", "support"),
    ],
)
def test_where_a_rail_has_no_way_back_it_is_said_how_to_pay_back(shop: Shop, psp: str, method: str, words: str) -> None:
    payment_id = shop.add_payment(psp=psp, method=method)
    answer = shop.client.post(f"/v1/payments/{payment_id}/refunds", json={})
    assert code_of(answer) == (409, "not-possible")
    assert words in answer.json()["detail"]


def test_no_account_is_a_conflict_that_says_what_is_missing(shop: Shop) -> None:
    onramp = {"method": "crypto_onramp", "amount_minor": 1, "crypto": {"asset": "usdc"}}
    assert code_of(shop.client.post("/v1/payments", json=onramp)) == (409, "no-account")
    stp = shop.client.post("/v1/payments", json={"method": "oxxo", "amount_minor": 1, "psp": "stp"})
    assert code_of(stp) == (409, "no-account")


def test_a_key_has_its_own_limit_and_says_so(market: Market) -> None:
    slow = market.open_shop(rate=3)
    answers = [slow.client.get("/v1/payments") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert code_of(answers[3]) == (429, "too-many-requests")
    assert 0 < int(answers[3].headers["retry-after"]) <= 61
    assert "retry-after" not in answers[0].headers
    assert {answer.headers["ratelimit-limit"] for answer in answers} == {"3"}


def test_whoever_is_not_known_is_counted_by_address(market: Market) -> None:
    began = time.monotonic()
    statuses = [httpx.get(market.base_url + "/v1/payments", trust_env=False).status_code for _ in range(25)]
    assert 429 in statuses and time.monotonic() - began < 30
    assert httpx.get(market.base_url + "/healthz", trust_env=False).status_code == 200
    assert httpx.post(market.base_url + "/webhooks/stripe", content=b"{}", trust_env=False).status_code == 401
