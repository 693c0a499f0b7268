"""The merchant API over real sockets, Postgres and Redis."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from config import Config
from tests.ingress.merchants import Market, Shop, serve_market


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    with serve_market(make_config()) as market:
        yield market


@pytest.fixture(scope="module")
def shop(market: Market) -> Shop:
    return market.open_shop()


def test_a_payment_is_read_by_its_merchant_alone(market: Market, shop: Shop) -> None:
    payment_id = shop.add_payment(merchant_reference="ORD-1")
    answer = shop.client.get(f"/v1/payments/{payment_id}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["reference"] == "ORD-1"
    assert market.open_shop().client.get(f"/v1/payments/{payment_id}").status_code == 404
    assert shop.client.get(f"/v1/payments/{uuid4()}").status_code == 404
