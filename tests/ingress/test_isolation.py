"""No merchant sees another's data, or changes it: every route of the application with every id of the other.

How the routes are asked is in matrix.py; the database's own wall, by itself, in test_wall.py.
"""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.fernet import Fernet
from flask import Flask, jsonify
from sqlalchemy import text

import bootstrap_api
from config import Config
from ingress.api.callers import current_caller, needs
from ingress.api.problems import Problem
from ingress.app import create_api
from models.merchant_work import API_ROLE
from models.reading import NotFound
from tests.ingress.houses import House
from tests.ingress.matrix import ROUTES, Matrix, Route, Visitor, find_rules, find_uncovered, order_operations
from tests.ingress.merchants import Market, serve_market

READABLE = f"""select relname from pg_class where relnamespace = current_schema()::regnamespace
    and relkind in ('r', 'p') and has_table_privilege('{API_ROLE}', oid, 'select') order by 1"""


@pytest.fixture(scope="module")
def config(make_config: Callable[..., Config]) -> Config:
    return make_config(
        ACUSE_CONEKTA_API_KEY="key_" + "x" * 24,
        ACUSE_CONEKTA_API_URL="http://127.0.0.1:9/conekta",
        ACUSE_SECRET_KEYS=Fernet.generate_key().decode(),
        ACUSE_REQUESTS_PER_MINUTE="1000000",
        ACUSE_TRUSTED_PROXIES="1",
    )


@pytest.fixture(scope="module")
def market(config: Config) -> Iterator[Market]:
    with serve_market(config, answer_wait=0.02) as market:
        yield market


@pytest.fixture(scope="module")
def app(config: Config) -> Flask:
    return create_api(bootstrap_api.build_api(config))


@pytest.fixture
def houses(market: Market) -> tuple[House, House]:
    return House(market.engine, market.base_url), House(market.engine, market.base_url)


def make_matrix(mine: House, other: House, owner: httpx.Client) -> Matrix:
    with mine.engine.connect() as connection:
        tables = list(connection.scalars(text(READABLE)))
    return Matrix(mine, other, Visitor(owner, other.password), tables)


def test_every_route_is_in_the_matrix(app: Flask) -> None:
    assert list(find_uncovered(app)) == []
    assert set(ROUTES) <= set(find_rules(app)), "these are not there any more"


@pytest.mark.parametrize("as_user", [False, True], ids=["key", "user"])
@pytest.mark.parametrize("turned", [False, True], ids=["one", "other"])
def test_nothing_of_the_other_is_ever_in_an_answer_or_changed(
    app: Flask, houses: tuple[House, House], as_user: bool, turned: bool
) -> None:
    mine, other = reversed(houses) if turned else houses
    matrix, asked = make_matrix(mine, other, other.client_with(other.token)), 0
    for rule, method in order_operations(app):
        bearer = mine.log_in() if ROUTES[rule].ends_session and as_user else mine.token if as_user else mine.key
        asked += matrix.try_operation(Visitor(mine.client_with(bearer), mine.password), rule, method)
    assert asked > 200


TRACES = {
    "shows": "of the other",
    "tells": "what is not there",
    "changes": "changes what is the other's",
    "hides": None,
}


@pytest.mark.parametrize("kind", TRACES)
def test_a_view_that_leaks_does_not_pass(config: Config, houses: tuple[House, House], kind: str) -> None:
    mine, other = houses

    @needs("read")
    def leak(payment_id: UUID) -> Any:
        with mine.engine.begin() as connection:
            query = text("select merchant_id, description from payments where id = :id")
            row = connection.execute(query, {"id": payment_id}).one_or_none()
            if row is None:
                raise NotFound
            if row.merchant_id == current_caller().merchant_id or kind == "shows":
                return jsonify(description=row.description)
            if kind == "changes":
                connection.execute(text("update payments set version = version + 1 where id = :id"), {"id": payment_id})
        raise Problem(403, "forbidden", "this is another merchant's") if kind == "tells" else NotFound

    app, rule = create_api(bootstrap_api.build_api(config)), "/v1/leak/<uuid:payment_id>"
    app.add_url_rule(rule, view_func=leak)
    assert list(find_uncovered(app)) == [f"say in ROUTES of tests/ingress/matrix.py how to ask {rule}"]

    def enter(key: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(transport=httpx.WSGITransport(app), base_url="http://api", headers=headers)

    matrix, me = make_matrix(mine, other, enter(other.key)), Visitor(enter(mine.key), mine.password)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ROUTES, rule, Route("payment"))
        if TRACES[kind] is None:
            assert matrix.try_operation(me, rule, "GET") > 1
            return
        with pytest.raises(AssertionError, match=TRACES[kind]):
            matrix.try_operation(me, rule, "GET")
