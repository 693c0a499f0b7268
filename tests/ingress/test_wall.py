"""The database's own wall between merchants, by itself: raw statements in a merchant's work, as if no repository named it."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import CursorResult, Engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from config import Config
from models.merchant_work import API_ROLE, MerchantWork
from models.search import make_tokens
from tests.ingress.houses import House
from tests.ingress.merchants import Market, serve_market

TABLES = "relnamespace = current_schema()::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f')"
# Every way to a table: the whole of it, or some of its columns; granted to the role, to everybody, or by another role.
MAY = {
    "select": "has_any_column_privilege(:role, c.oid, 'select')",
    "insert": "has_any_column_privilege(:role, c.oid, 'insert')",
    "update": "has_any_column_privilege(:role, c.oid, 'update')",
    "delete": "has_table_privilege(:role, c.oid, 'delete, truncate, trigger')",
    "be there": ":role <> ''",
}
FIND = "select find_payments(cast(:wanted as integer[]), :needle, 10)"


@pytest.fixture(scope="module")
def market(make_config: Callable[..., Config]) -> Iterator[Market]:
    with serve_market(make_config(ACUSE_REQUESTS_PER_MINUTE="1000000")) as market:
        yield market


@pytest.fixture(scope="module", params=[False, True], ids=["one", "other"])
def houses(market: Market, request: pytest.FixtureRequest) -> tuple[House, House]:
    one, other = House(market.engine, market.base_url), House(market.engine, market.base_url)
    return (other, one) if request.param else (one, other)


def ask(engine: Engine, query: str, **values: Any) -> list[Any]:
    """As whoever owns the database."""
    with engine.connect() as connection:
        return list(connection.execute(text(query), {"role": API_ROLE, **values}))


def find_tables(engine: Engine, way: str) -> set[str]:
    found = ask(engine, f"select relname from pg_class c where {TABLES} and {MAY[way]}")
    return {row.relname for row in found}


def see(house: House, tables: set[str]) -> dict[str, list[str]]:
    """All rows that the wall shows to a merchant."""
    with MerchantWork(house.engine, house.merchant_id) as work:
        return {table: sorted(work.connection.scalars(text(f"select t::text from {table} t"))) for table in tables}


def run_as(house: House, query: str, **values: Any) -> CursorResult[Any]:
    """What it gives; it is never committed."""
    with MerchantWork(house.engine, house.merchant_id) as work:
        done = work.connection.execute(text(query), values)
        return done.freeze()() if done.returns_rows else done


def test_every_table_that_the_role_may_touch_has_its_policy_and_no_other(market: Market) -> None:
    walled = ask(
        market.engine,
        f"select relname, array_agg(polname::text) as names from pg_class c join pg_policy on polrelid = c.oid"
        f" where {TABLES} and relrowsecurity and polcmd = '*' and polpermissive group by 1",
    )
    assert {tuple(row.names) for row in walled} == {("merchant",)}
    policies = {row.relname for row in walled}
    for way in ("select", "insert", "update"):
        assert find_tables(market.engine, way) <= policies, way
    assert policies == find_tables(market.engine, "select") and len(policies) == 14
    assert find_tables(market.engine, "delete") == set()


def test_the_role_has_no_way_around_its_policies(market: Market) -> None:
    rights = "rolsuper, rolbypassrls, rolcanlogin, rolcreaterole, rolcreatedb, rolreplication"
    [role] = ask(market.engine, f"select {rights} from pg_roles where rolname = :role")
    assert not any(role)
    joined = "select from pg_auth_members m join pg_roles r on r.oid = m.member where rolname = :role"
    assert ask(market.engine, joined) == []
    owned = f"select relname from pg_class c join pg_roles r on r.oid = relowner where {TABLES} and rolname = :role"
    assert ask(market.engine, owned) == []
    definers = """select proname from pg_proc where prosecdef and has_function_privilege(:role, oid, 'execute')
        and pronamespace not in ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)"""
    assert [row.proname for row in ask(market.engine, definers)] == ["find_payments"]


def test_no_row_of_the_other_is_visible_without_a_condition(market: Market, houses: tuple[House, House]) -> None:
    mine, other = houses
    tables = find_tables(market.engine, "select")
    seen = see(mine, tables)
    assert seen == mine.read_rows(tables)
    for table in tables:
        assert seen[table], f"{table}: there is nothing that could be seen"
        assert not other.find_in(" ".join(seen[table])), table
        assert len(ask(market.engine, f"select from {table}")) > len(seen[table]), f"{table}: there is nothing to hide"
    for table in find_tables(market.engine, "be there") - tables:
        with pytest.raises(DBAPIError, match="permission denied"):
            run_as(mine, f"select * from {table}")


def test_without_a_merchant_nothing_is_visible_at_all(market: Market, houses: tuple[House, House]) -> None:
    for table in find_tables(market.engine, "select"):
        with market.engine.connect() as connection:
            connection.execute(text(f"set local role {API_ROLE}"))
            assert connection.execute(text(f"select * from {table}")).all() == [], table


def test_the_search_finds_what_is_the_callers_and_nothing_else(houses: tuple[House, House]) -> None:
    mine, other = houses
    sought = {"wanted": make_tokens(other.merchant_id, other.word), "needle": other.word}
    assert run_as(other, FIND, **sought).scalars().all() == [other.ids["payment"]]
    assert run_as(mine, FIND, **sought).scalars().all() == []
    assert run_as(mine, FIND, wanted=[], needle="word").scalars().all() == [mine.ids["payment"]]


def test_no_row_can_be_written_for_the_other(market: Market, houses: tuple[House, House]) -> None:
    """A copy of a row of the other, for every table; the policy is asked before any key."""
    mine, other = houses
    insertable = find_tables(market.engine, "insert")
    assert {"payments", "endpoints", "notification_deliveries", "attempts", "api_keys"} <= insertable
    for table in find_tables(market.engine, "be there"):
        theirs = other.read_json(table) if table in insertable else "{}"
        statement = f"insert into {table} select * from json_populate_record(null::{table}, cast(:row as json))"
        said = "row-level security" if table in insertable else "permission denied"
        with pytest.raises(DBAPIError, match=said):
            run_as(mine, statement, row=theirs)


def test_what_is_not_seen_is_not_changed_and_what_is_mine_stays_mine(
    market: Market, houses: tuple[House, House]
) -> None:
    mine, other = houses
    columns = ask(
        market.engine,
        f"select relname, attname from pg_class c join pg_attribute a on attrelid = c.oid and attnum > 0"
        f" and not attisdropped where {TABLES} and has_column_privilege(:role, c.oid, attnum, 'update')",
    )
    assert {"api_keys", "endpoints", "payments", "sessions", "users"} <= {row.relname for row in columns}
    for table, column in columns:
        rows = len(see(mine, {table})[table])
        assert run_as(mine, f"update {table} set {column} = {column}").rowcount == rows, table
        if column == "merchant_id":
            with pytest.raises(DBAPIError, match="row-level security"):
                run_as(mine, f"update {table} set merchant_id = :other", other=other.merchant_id)
    for table in find_tables(market.engine, "be there"):
        for statement in (f"delete from {table}", f"truncate {table}"):
            with pytest.raises(DBAPIError, match="permission denied"):
                run_as(mine, statement)


DELIVERY = """insert into notification_deliveries (notification_id, endpoint_id, merchant_id, next_attempt_at, created_at)
    values (:notification, :endpoint, :m, now(), now())"""
NOTIFICATION = """insert into notifications (id, merchant_id, payment_id, sequence, event_type, body, created_at)
    values (:new, :m, :payment, 99, 'payment.completed', '\\x00', now())"""
SESSION = """insert into sessions (id, merchant_id, user_id, token_hash, created_at, expires_at)
    values (:new, :m, :user, decode(md5(random()::text), 'hex'), now(), now())"""
ENTRY = "insert into payment_search values (:second, :m, 'x', '{}')"


@pytest.mark.parametrize(
    ("statement", "theirs"),
    [
        (DELIVERY, "endpoint"),
        (DELIVERY, "notification"),
        (NOTIFICATION, "payment"),
        (SESSION, "user"),
        (ENTRY, "second"),
    ],
    ids=["delivery-endpoint", "delivery-notification", "notification", "session", "search"],
)
def test_nothing_belongs_to_two_merchants_whoever_writes_it(
    market: Market, houses: tuple[House, House], statement: str, theirs: str
) -> None:
    """The composite keys hold without any policy, for workers too."""
    mine, other = houses
    foreign = other.ids | {"second": other.second_payment}  # which has no entry yet
    values: dict[str, UUID] = {**mine.ids, theirs: foreign[theirs], "m": mine.merchant_id, "new": uuid4()}
    with pytest.raises(IntegrityError, match="foreign key"), market.engine.begin() as connection:
        connection.execute(text(statement), values)
