"""No merchant sees another's data: every route with every id of the other, and the database's own wall by itself.

The routes are those of the application. One that is missing in ROUTES fails the test: say there how to ask it.
"""

import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from cryptography.fernet import Fernet
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from uuid_utils.compat import uuid7

import bootstrap
from config import Config
from ingress.app import create_api
from models.merchant_work import API_ROLE, MerchantWork
from tests.ingress.merchants import Market, Shop, serve_market

NOW = datetime.now(UTC)
VOUCHER = {"method": "oxxo", "amount_minor": 1, "psp": "conekta"}
DAY = {"since": "2026-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}

# Every rule below /v1: what fills its gap, and the bodies of its methods. {endpoint} is an endpoint of the other.
ROUTES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "/v1/payments": (None, {"POST": VOUCHER}),
    "/v1/payments/<uuid:payment_id>": ("payment", {}),
    "/v1/payments/<uuid:payment_id>/timeline": ("payment", {}),
    "/v1/payments/<uuid:payment_id>/refunds": ("payment", {"POST": {"amount_minor": 1}}),
    "/v1/payments/<uuid:payment_id>/cancel": ("payment", {"POST": None}),
    "/v1/balance-summary": (None, {}),
    "/v1/endpoints": (None, {"POST": {"url": "https://hooks.example.com/a"}}),
    "/v1/endpoints/<uuid:endpoint_id>": ("endpoint", {"PATCH": {"description": "mine"}, "DELETE": None}),
    "/v1/endpoints/<uuid:endpoint_id>/rotate-secret": ("endpoint", {"POST": {}}),
    "/v1/endpoints/<uuid:endpoint_id>/enable": ("endpoint", {"POST": None}),
    "/v1/endpoints/<uuid:endpoint_id>/test": ("endpoint", {"POST": None}),
    "/v1/endpoints/<uuid:endpoint_id>/deliveries": ("endpoint", {}),
    "/v1/endpoints/<uuid:endpoint_id>/replay": ("endpoint", {"POST": DAY}),
    "/v1/notifications/<uuid:notification_id>": ("notification", {}),
    "/v1/notifications/<uuid:notification_id>/replay": ("notification", {"POST": {"endpoint_id": "{endpoint}"}}),
    "/v1/keys": (None, {"POST": {"name": "new", "scopes": ["read"]}}),
    "/v1/keys/<uuid:key_id>": ("key", {"DELETE": None}),
    "/v1/me": (None, {}),
    "/v1/me/totp": (None, {"POST": {"password": "x" * 12}, "DELETE": {"password": "x" * 12, "totp": "123456"}}),
    "/v1/me/totp/confirm": (None, {"POST": {"totp": "123456"}}),
    "/v1/password": (None, {"POST": {"password": "x" * 12, "new_password": "y" * 12}}),
    "/v1/password-reset": (None, {"POST": {"token": "x" * 43, "new_password": "y" * 12}}),
    "/v1/login": (None, {"POST": {"email": "nobody@example.com", "password": "x" * 12}}),
    "/v1/logout": (None, {}),  # both end the caller's own session: asked in their own tests
    "/v1/logout-everywhere": (None, {}),
}
DOCS = {"/v1/openapi.json", "/v1/docs", "/v1/docs/<name>"}
LOGOUTS = {"/v1/logout", "/v1/logout-everywhere"}
FILTERS = ("", "?search={word}", "?limit=100")


class House(Shop):
    """A merchant with something in every table, and all the words that nobody else may read."""

    def __init__(self, engine: Engine, base_url: str) -> None:
        super().__init__(engine, base_url, ("read", "write", "refund"), 1_000_000)
        self.token, self.word = self.log_in(), f"word{secrets.token_hex(6)}"
        self.ids = {name: UUID(str(uuid7())) for name in ("endpoint", "notification", "attempt", "key")}
        self.ids["payment"] = self.add_payment(merchant_reference=self.word, description=f"about {self.word}")
        with engine.begin() as connection:
            for statement in FILL:
                connection.execute(text(statement), self.ids | {"m": self.merchant_id, "w": self.word, "now": NOW})
        self.words = [self.word, self.email, str(self.merchant_id), *(str(id) for id in self.ids.values())]


FILL = (
    "insert into payment_references values ('stripe', 'default', :w, :payment)",
    (
        "insert into transitions (payment_id, event_id, ordinal, kind, outcome, source, facts, recorded_at)"
        " values (:payment, (random() * 1e15)::bigint, 0, 'pending', 'APPLIED', 'webhook', '{}', :now)"
    ),
    (
        "insert into attempts (id, payment_id, psp, account, operation, idempotency_key, request, status, next_attempt_at,"
        " created_at, first_sent_at, settled_at, error_code) values (:attempt, :payment, 'stripe', 'default', 'create', :w,"
        " '{}', 'done', :now, :now, :now, :now, :w)"
    ),
    (
        "insert into endpoints (id, merchant_id, url, description, event_types, secret_sealed, created_at, updated_at)"
        " values (:endpoint, :m, 'https://' || :w || '.example.com', :w, '{}', '\\x00', :now, :now)"
    ),
    (
        "insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)"
        " values (:notification, :m, :payment, 1, 'payment.completed', convert_to('{\"w\":\"' || :w || '\"}', 'utf8'), :now)"
    ),
    (
        "insert into notification_deliveries (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)"
        " values (:notification, :endpoint, :m, :now, :now)"
    ),
    (
        "insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, error, latency_ms)"
        " values (:notification, :endpoint, :m, 1, :now, :w, 5)"
    ),
    (
        "insert into api_keys (id, merchant_id, name, slot, prefix, key_hash, scopes, requests_per_minute, created_at)"
        " values (:key, :m, :w, 1, :w, convert_to(:w, 'utf8'), '{read}', 20, :now)"
    ),
    "insert into search_queue values (:payment)",
    "insert into payment_search values (:payment, :m, :w, '{}')",
    "insert into idempotency_keys (merchant_id, key, request_hash, created_at) values (:m, :w, '\\x00', :now)",
)


@pytest.fixture(scope="module")
def config(make_config: Callable[..., Config]) -> Config:
    return make_config(
        ACUSE_CONEKTA_API_KEY="key_" + "x" * 24,
        ACUSE_CONEKTA_API_URL="http://127.0.0.1:9/conekta",
        ACUSE_SECRET_KEYS=Fernet.generate_key().decode(),
        ACUSE_REQUESTS_PER_MINUTE="1000000",
    )


@pytest.fixture(scope="module")
def market(config: Config) -> Iterator[Market]:
    with serve_market(config, answer_wait=0.02) as market:
        yield market


@pytest.fixture(scope="module")
def houses(market: Market) -> tuple[House, House]:
    return House(market.engine, market.base_url), House(market.engine, market.base_url)


def rules(config: Config) -> dict[str, set[str]]:
    """Every rule below /v1 and its methods."""
    found: dict[str, set[str]] = {}
    for rule in create_api(bootstrap.build_api(config)).url_map.iter_rules():
        if rule.rule.startswith("/v1/") and rule.rule not in DOCS:
            found.setdefault(rule.rule, set()).update((rule.methods or set()) - {"HEAD", "OPTIONS"})
    return found


def find_leaks(answer: httpx.Response, other: House) -> list[str]:
    said = answer.text + str(answer.headers)
    return [word for word in other.words if word in said and word not in str(answer.request.url)]


def ask(client: httpx.Client, rule: str, method: str, other: House, id: UUID | None) -> list[httpx.Response]:
    gap, bodies = ROUTES[rule]
    head, _, rest = rule.partition("<")
    path = head + (str(id) + rest.partition(">")[2] if gap else "")
    body = bodies.get(method)
    if isinstance(body, dict) and body.get("endpoint_id") == "{endpoint}":
        body = {"endpoint_id": str(other.ids["endpoint"])}
    queries = FILTERS if method == "GET" and rule in ("/v1/payments", "/v1/endpoints") else ("",)
    sent: dict[str, Any] = {"json": body} if body is not None else {}
    return [client.request(method, path + query.format(word=other.word), **sent) for query in queries]


def test_every_route_is_in_the_matrix(config: Config) -> None:
    missing = set(rules(config)) - set(ROUTES)
    assert not missing, f"say in ROUTES how to ask {sorted(missing)}"
    assert not set(ROUTES) - set(rules(config))


@pytest.mark.parametrize("as_user", [False, True], ids=["key", "user"])
@pytest.mark.parametrize("turned", [False, True], ids=["one", "other"])
def test_nothing_of_the_other_is_ever_in_an_answer(
    config: Config, houses: tuple[House, House], as_user: bool, turned: bool
) -> None:
    me, other = reversed(houses) if turned else houses
    client = me.client_with(me.token if as_user else me.key)
    asked = 0
    for rule, methods in rules(config).items():
        if rule in LOGOUTS:
            continue
        gap = ROUTES[rule][0]
        for method in methods:
            for id in other.ids.values() if gap else (None,):
                for answer in ask(client, rule, method, other, id):
                    asked += 1
                    about = f"{method} {rule} with {id}: {answer.status_code} {answer.text}"
                    assert not find_leaks(answer, other), about
                    assert answer.status_code < 500, about
                    if gap:
                        stranger = ask(client, rule, method, other, uuid4())[0]
                        assert answer.status_code in (404, 403), about
                        assert stranger.text.replace(str(stranger.request.url), "") == answer.text or (
                            gap == "key" and stranger.status_code == answer.status_code
                        ), about
    assert asked > 60


def test_a_merchant_finds_its_own(houses: tuple[House, House]) -> None:
    """The words are there to be found: the matrix above could not fail otherwise."""
    me, _ = houses
    for path in ("/v1/payments", f"/v1/payments/{me.ids['payment']}/timeline", "/v1/endpoints"):
        answer = me.client.get(path)
        assert answer.status_code == 200 and find_leaks(answer, me), path
    assert find_leaks(me.client_with(me.token).get("/v1/keys"), me)


def read_tables(engine: Engine, query: str) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(text(query), {"role": API_ROLE}))


GRANTED = (
    "select table_name from information_schema.role_table_grants where grantee = :role and privilege_type = 'SELECT'"
)
WALLED = "select relname from pg_class join pg_policy on polrelid = pg_class.oid where relrowsecurity"


def test_every_table_that_the_role_reads_has_a_policy(market: Market) -> None:
    granted = read_tables(market.engine, GRANTED)
    assert len(granted) >= 14
    assert granted <= read_tables(market.engine, WALLED)


def test_the_databases_own_wall_stands_without_the_repositories(market: Market, houses: tuple[House, House]) -> None:
    me, other = houses
    for table in sorted(read_tables(market.engine, GRANTED)):
        query = text(f"select count(*) as n, coalesce(string_agg(t::text, ' '), '') as said from {table} t")
        with MerchantWork(market.engine, me.merchant_id) as work:
            row = work.connection.execute(query).one()
        assert row.n > 0, f"{table}: there is nothing that could be seen"
        assert not [word for word in other.words if word in row.said], table
    for table in (
        "password_resets",
        "login_tries",
        "inbox_events",
        "inbox_payloads",
        "discrepancies",
    ):
        with pytest.raises(DBAPIError, match="permission denied"), MerchantWork(market.engine, me.merchant_id) as work:
            work.connection.execute(text(f"select * from {table}"))


@pytest.mark.parametrize(
    "statement",
    [
        (
            "insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)"
            " values (gen_random_uuid(), :other, 'https://a.example.com', '{}', '\\x00', now(), now())"
        ),
        "insert into idempotency_keys (merchant_id, key, request_hash, created_at) values (:other, 'k', '\\x00', now())",
        (
            "insert into notifications (id, merchant_id, event_type, body, created_at)"
            " values (gen_random_uuid(), :other, 'endpoint.test', '\\x00', now())"
        ),
        "insert into search_queue values (:payment)",
        "insert into payment_references values ('stripe', 'default', 'stolen', :payment)",
    ],
)
def test_nothing_can_be_written_for_the_other(market: Market, houses: tuple[House, House], statement: str) -> None:
    me, other = houses
    values = {"other": other.merchant_id, "payment": other.ids["payment"]}
    with pytest.raises(DBAPIError, match="row-level security"), MerchantWork(market.engine, me.merchant_id) as work:
        work.connection.execute(text(statement), values)


def test_what_is_not_seen_is_not_changed(market: Market, houses: tuple[House, House]) -> None:
    me, other = houses
    with MerchantWork(market.engine, me.merchant_id) as work:
        for statement in (
            "update endpoints set url = 'x' where id = :id",
            "update api_keys set revoked_at = now() where id = :id",
        ):
            for id in other.ids.values():
                assert work.connection.execute(text(statement), {"id": id}).rowcount == 0
