"""Log-ins, second factors and keys over HTTP."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pyotp
import pytest
from cryptography.fernet import Fernet
from flask import Flask
from sqlalchemy import create_engine, text
from werkzeug.serving import make_server

import bootstrap_api
import bootstrap_starting
from config import Config
from ingress.accounts import issue_reset
from ingress.api.app import add_merchant_api
from ingress.api.dependencies import MerchantDeps
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from tests.ingress.front_desk import PASSWORD, FrontDesk, make_cheap_passwords

NEW_PASSWORD = "otro caballo distinto"
DEAD_REDIS = "redis://127.0.0.1:9/0"


class Counter:
    """A served API, and users of it. Each has an address of its own, so that none is counted with another."""

    def __init__(self, need: MerchantDeps, desk: FrontDesk, port: int) -> None:
        self.need, self.desk, self.base_url, self.addresses = need, desk, f"http://127.0.0.1:{port}", 0

    def make_client(self, token: str = "", address: str = "") -> httpx.Client:
        self.addresses += 1
        address = address or f"10.0.{self.addresses // 250}.{self.addresses % 250}"
        headers = {"X-Forwarded-For": address} | ({"Authorization": f"Bearer {token}"} if token else {})
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=10, trust_env=False)

    def add_user(self) -> str:
        email = f"{uuid4().hex[:10]}@example.com"
        self.desk.add_user(email)
        return email

    def send_login(self, email: str, password: str = PASSWORD, address: str = "", **more: Any) -> httpx.Response:
        said = {"email": email, "password": password, **more}
        return self.make_client(address=address).post("/v1/login", json=said)

    def log_in(self, email: str = "", **more: Any) -> httpx.Client:
        answer = self.send_login(email or self.add_user(), **more)
        assert answer.status_code == 200, answer.text
        return self.make_client(answer.json()["access_token"])


@pytest.fixture(scope="module")
def counter(make_config: Callable[..., Config]) -> Iterator[Counter]:
    config = make_config(ACUSE_TRUSTED_PROXIES="1", ACUSE_REDIS_URL=DEAD_REDIS)
    engine = create_engine(config.database_url)
    need = replace(
        bootstrap_api.build_merchants(config, engine),
        sealer=Sealer([Fernet.generate_key().decode()]),
        passwords=make_cheap_passwords(),
    )
    app = Flask("acuse")
    add_merchant_api(app, need)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Counter(need, FrontDesk(engine, need.passwords, now=bootstrap_starting.utc_now()), server.port)
    server.shutdown()
    thread.join(10)
    server.server_close()
    engine.dispose()


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def test_a_log_in_gives_a_bearer_token_that_says_who_one_is(counter: Counter) -> None:
    email = counter.add_user()
    answer = counter.send_login(email.upper())
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert set(said) == {"access_token", "token_type", "expires_in", "expires_at"}
    assert (said["token_type"], said["expires_in"]) == ("Bearer", 3600)
    assert answer.headers["cache-control"] == "no-store"
    me = counter.make_client(said["access_token"]).get("/v1/me").json()
    assert (me["email"], me["merchant"]["name"], me["second_factor"]) == (email, "shop", False)
    assert "password_hash" not in me
    assert counter.make_client(said["access_token"]).get("/v1/payments").status_code == 200, "a user may read too"


def test_unknown_users_and_wrong_passwords_get_the_same_answer(counter: Counter) -> None:
    wrong = counter.send_login(counter.add_user(), "wrong password")
    unknown = counter.send_login("nobody@example.com")
    assert code_of(wrong) == code_of(unknown) == (401, "wrong-credentials")
    assert wrong.content == unknown.content


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"email": "ana@example.com"},
        {"email": "ana@example.com", "password": "x" * 129},
        {"email": "ana@example.com", "password": 12},
        {"email": "x" * 300, "password": PASSWORD},
        {"email": "ana@example.com", "password": PASSWORD, "is_admin": True},
        {"email": "ana@example.com", "password": PASSWORD, "totp": "1"},
    ],
)
def test_a_log_in_that_is_none_is_refused(counter: Counter, said: dict[str, Any]) -> None:
    assert code_of(counter.make_client().post("/v1/login", json=said)) == (422, "invalid")


def test_odd_text_is_refused_and_breaks_nothing(counter: Counter) -> None:
    for body in (rb'{"email": "\ud800@x.mx", "password": "\ud800"}', rb'{"email": "a\u0000@x.mx", "password": "x"}'):
        answer = counter.make_client().post("/v1/login", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 401, 422), answer.text


def test_the_sixth_try_for_an_account_is_refused_while_redis_is_away(counter: Counter) -> None:
    email = counter.add_user()
    answers = [counter.send_login(email, "wrong password") for _ in range(5)] + [counter.send_login(email)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert code_of(answers[5]) == (429, "too-many-requests")
    assert 0 < int(answers[5].headers["retry-after"]) <= 60


def test_the_sixth_try_from_an_address_is_refused(counter: Counter) -> None:
    answers = [counter.send_login(f"user{n}@example.com", address="192.0.2.77") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429]


def test_tries_that_other_processes_counted_count_here(counter: Counter) -> None:
    email = counter.add_user()
    for n in range(5):
        with UnitOfWork(counter.desk.engine) as work:
            assert work.access.login_tries.count([f"account:{email}", f"address:198.18.0.{n}"]) is None
            work.commit()
    refused = counter.send_login(email)
    assert code_of(refused) == (429, "too-many-requests")
    assert 0 < int(refused.headers["retry-after"]) <= 60


def test_reset_tokens_are_counted_too(counter: Counter) -> None:
    client = counter.make_client()
    said = {"token": "rt_guess", "new_password": NEW_PASSWORD}
    answers = [client.post("/v1/password-reset", json=said) for _ in range(6)]
    assert [code_of(answer) for answer in answers] == [(403, "reset-token-invalid")] * 5 + [(429, "too-many-requests")]


def test_logging_out_is_at_once(counter: Counter) -> None:
    email = counter.add_user()
    clients = [counter.log_in(email) for _ in range(3)]
    assert clients[0].post("/v1/logout").status_code == 204
    assert [client.get("/v1/me").status_code for client in clients] == [401, 200, 200]
    assert clients[1].post("/v1/logout-everywhere").status_code == 204
    assert [client.get("/v1/me").status_code for client in clients] == [401, 401, 401]


def test_a_password_is_changed_and_the_other_sessions_end(counter: Counter) -> None:
    email = counter.add_user()
    other, mine = counter.log_in(email), counter.log_in(email)
    wrong = mine.post("/v1/password", json={"password": "wrong password", "new_password": NEW_PASSWORD})
    assert code_of(wrong) == (403, "wrong-password")
    short = mine.post("/v1/password", json={"password": PASSWORD, "new_password": "short"})
    assert code_of(short) == (422, "invalid")
    blank = mine.post("/v1/password", json={"password": PASSWORD, "new_password": " " * 20})
    assert [error["field"] for error in blank.json()["errors"]] == ["new_password"]
    assert mine.post("/v1/password", json={"password": PASSWORD, "new_password": NEW_PASSWORD}).status_code == 204
    assert (mine.get("/v1/me").status_code, other.get("/v1/me").status_code) == (200, 401)
    assert counter.send_login(email, NEW_PASSWORD).status_code == 200


def test_a_token_from_the_operator_sets_a_password_once(counter: Counter) -> None:
    email = counter.add_user()
    session = counter.log_in(email)
    with counter.need.open_front_work() as work:
        token = issue_reset(work, email, bootstrap_starting.utc_now())
        work.commit()
    said = {"token": token, "new_password": NEW_PASSWORD}
    assert counter.make_client().post("/v1/password-reset", json=said).status_code == 204
    assert code_of(counter.make_client().post("/v1/password-reset", json=said)) == (403, "reset-token-invalid")
    assert session.get("/v1/me").status_code == 401
    assert counter.send_login(email, NEW_PASSWORD).status_code == 200


def test_a_second_factor_from_beginning_to_end(counter: Counter) -> None:
    email = counter.add_user()
    client, now = counter.log_in(email), bootstrap_starting.utc_now()
    assert code_of(client.post("/v1/me/totp", json={"password": "wrong password"})) == (403, "wrong-password")
    begun = client.post("/v1/me/totp", json={"password": PASSWORD})
    assert begun.status_code == 200 and begun.json()["uri"].startswith("otpauth://")
    totp = pyotp.TOTP(begun.json()["secret"])
    assert code_of(client.post("/v1/me/totp/confirm", json={"totp": "abcdef"})) == (403, "wrong-code")
    code = totp.at(now)
    assert client.post("/v1/me/totp/confirm", json={"totp": code}).status_code == 204
    assert client.get("/v1/me").json()["second_factor"] is True
    counter.desk.forget_tries()
    email_said = {"email": email, "password": PASSWORD}
    for said in (email_said, email_said | {"totp": code}):
        answer = counter.make_client().post("/v1/login", json=said)
        assert code_of(answer) == (401, "totp-required")
    assert code_of(counter.send_login(email, "wrong password")) == (401, "wrong-credentials")
    later = totp.at(bootstrap_starting.utc_now() + timedelta(seconds=30))
    assert counter.send_login(email, totp=later).status_code == 200
    counter.desk.forget_tries()
    used = client.request("DELETE", "/v1/me/totp", json={"password": PASSWORD, "totp": later})
    assert code_of(used) == (403, "wrong-code")
    with counter.desk.engine.begin() as connection:  # as if two minutes were over
        connection.execute(text("update users set totp_last_step = totp_last_step - 4"))
    removed = client.request(
        "DELETE", "/v1/me/totp", json={"password": PASSWORD, "totp": totp.at(bootstrap_starting.utc_now())}
    )
    assert removed.status_code == 204, removed.text
    assert code_of(client.request("DELETE", "/v1/me/totp", json={"password": PASSWORD})) == (409, "no-second-factor")


def test_keys_are_made_rotated_and_revoked_at_once(counter: Counter) -> None:
    user = counter.log_in()
    wanted = {"name": "shop", "scopes": ["read"]}
    made = [user.post("/v1/keys", json=wanted) for _ in range(3)]
    assert [answer.status_code for answer in made] == [201, 201, 409]
    assert code_of(made[2]) == (409, "two-keys-active")
    first, second = (answer.json() for answer in made[:2])
    assert (first["scopes"], first["requests_per_minute"], first["status"]) == (["read"], 20, "active")
    assert first["key"].startswith(first["prefix"] + "_")
    for key in (first, second):
        assert counter.make_client(key["key"]).get("/v1/payments").status_code == 200
    assert code_of(counter.make_client(first["key"]).post("/v1/payments", json={})) == (403, "scope-missing")
    assert user.delete(f"/v1/keys/{first['id']}").status_code == 204
    assert user.delete(f"/v1/keys/{first['id']}").status_code == 204, "as often as one likes"
    assert counter.make_client(first["key"]).get("/v1/payments").status_code == 401
    assert counter.make_client(second["key"]).get("/v1/payments").status_code == 200
    assert user.post("/v1/keys", json=wanted).status_code == 201
    listed = user.get("/v1/keys")
    assert [key["status"] for key in listed.json()["keys"]] == ["active", "active", "revoked"]
    assert all("key" not in key and "key_hash" not in key for key in listed.json()["keys"])
    shown = user.get(f"/v1/keys/{second['id']}").json()
    assert shown["prefix"] == second["prefix"] and shown["last_used_at"] is not None


@pytest.mark.parametrize(
    "change",
    [
        {"scopes": []},
        {"scopes": ["read", "read"]},
        {"scopes": ["admin"]},
        {"scopes": "read"},
        {"name": ""},
        {"name": "two\nlines"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"requests_per_minute": 21},
        {"requests_per_minute": 0},
        {"requests_per_minute": 1.5},
        {"merchant_id": str(uuid4())},
        {"key_hash": "x"},
    ],
)
def test_a_key_that_cannot_be_is_refused(counter: Counter, change: dict[str, Any]) -> None:
    user = counter.log_in()
    assert code_of(user.post("/v1/keys", json={"name": "shop", "scopes": ["read"], **change})) == (422, "invalid")
    assert user.get("/v1/keys").json()["keys"] == []


def test_a_key_is_made_once_under_an_idempotency_key_and_its_text_is_kept_sealed(counter: Counter) -> None:
    user = counter.log_in()
    send = {"json": {"name": "shop", "scopes": ["read"]}, "headers": {"Idempotency-Key": "k1"}}
    first, again = user.post("/v1/keys", **send), user.post("/v1/keys", **send)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json() and again.headers["idempotent-replayed"] == "true"
    assert len(user.get("/v1/keys").json()["keys"]) == 1
    dump = counter.desk.dump()
    for written in (first.json()["key"], first.json()["key"].encode().hex()):
        assert written not in dump


def test_a_key_gets_itself_no_more_rights(counter: Counter) -> None:
    user = counter.log_in()
    made = user.post("/v1/keys", json={"name": "all", "scopes": ["read", "write", "refund"]}).json()
    key = counter.make_client(made["key"])
    requests = [
        ("GET", "/v1/me", None),
        ("GET", "/v1/keys", None),
        ("POST", "/v1/keys", {"name": "more", "scopes": ["read"]}),
        ("GET", f"/v1/keys/{made['id']}", None),
        ("DELETE", f"/v1/keys/{made['id']}", None),
        ("POST", "/v1/logout", None),
        ("POST", "/v1/logout-everywhere", None),
        ("POST", "/v1/password", {"password": PASSWORD, "new_password": NEW_PASSWORD}),
        ("POST", "/v1/me/totp", {"password": PASSWORD}),
        ("POST", "/v1/me/totp/confirm", {"totp": "123456"}),
        ("DELETE", "/v1/me/totp", {"password": PASSWORD}),
    ]
    for method, path, body in requests:
        assert code_of(key.request(method, path, json=body)) == (403, "users-only"), path
        assert code_of(counter.make_client().request(method, path, json=body)) == (401, "unauthorized"), path


def test_keys_of_another_merchant_are_not_there(counter: Counter) -> None:
    theirs = counter.log_in().post("/v1/keys", json={"name": "shop", "scopes": ["read"]}).json()
    user = counter.log_in()
    assert code_of(user.get(f"/v1/keys/{theirs['id']}")) == (404, "not-found")
    assert code_of(user.delete(f"/v1/keys/{theirs['id']}")) == (404, "not-found")
    assert counter.make_client(theirs["key"]).get("/v1/payments").status_code == 200
