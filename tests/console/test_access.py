"""Who gets into the console, what a session is worth, and what a form must prove."""

import re
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from ingress.account_terms import TooManyTries, count_try
from ingress.console.dependencies import NAME
from ingress.console.guard import NEED, STATIC
from ingress.keys import SCOPES, WantedKey, create_key
from models.merchants import DEFAULT_MERCHANT_ID
from models.operators import NewAction
from models.unit_of_work import UnitOfWork
from tests.console.conftest import PASSWORD, Console
from tests.paper import NOON

PAGES = (
    *(
        "",
        "/now",
        "/events",
        "/events/1",
        "/parked",
        "/replay",
        "/payments",
        "/payments/p1",
        "/actions",
        "/endpoints",
        "/workers",
    ),
    *("/discrepancies", "/discrepancies/1", "/reconciliation", "/reconciliation/paper/default"),
    "/reconciliation/paper/default/2026-11-20",
)


@pytest.mark.parametrize("page", PAGES)
def test_who_is_not_logged_in_is_asked_to(console: Console, page: str) -> None:
    answer = console.visit().get(page)
    assert answer.status_code == 302
    assert answer.location.startswith("/console/login?next=")


def test_what_merchants_show_is_worth_nothing_here(console: Console) -> None:
    with UnitOfWork(console.desk.engine) as work:
        key = create_key(work, DEFAULT_MERCHANT_ID, WantedKey("shop", SCOPES), console.now, is_operator=True).text
        work.commit()
    visitor = console.visit()
    visitor.client.set_cookie("acuse-console", key, path="/console")
    for page in PAGES:
        assert visitor.get(page, Authorization=f"Bearer {key}").status_code == 302


@pytest.mark.parametrize("page", PAGES)
def test_a_viewer_sees_every_page(console: Console, page: str) -> None:
    answer = console.visit("viewer").get(page)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Cache-Control"] == "no-store"


def test_every_view_says_who_may_see_it(console: Console) -> None:
    views = {e: v for e, v in console.app.view_functions.items() if e.startswith("console.") and e != STATIC}
    assert len(views) > 8
    assert all(hasattr(view, NEED) for view in views.values())


def test_a_wrong_password_or_a_disabled_operator_gets_nothing(console: Console) -> None:
    email, visitor = console.add("admin"), console.visit()
    assert visitor.log_in(email, "something else").status_code == 401
    assert visitor.log_in("nobody@example.com").status_code == 401
    with UnitOfWork(console.desk.engine) as work:
        found = work.operators.find(email)
        assert found
        work.operators.change(found.id, disabled_at=console.now)
        work.commit()
    assert visitor.log_in(email).status_code == 401
    assert visitor.get("").status_code == 302


def test_the_sixth_try_within_a_minute_is_not_looked_at(console: Console) -> None:
    email, visitor = console.add("viewer"), console.visit()
    assert [visitor.log_in(email, "wrong").status_code for _ in range(5)] == [401] * 5
    assert visitor.log_in(email).status_code == 429


def test_no_spelling_of_an_address_has_tries_of_its_own(console: Console) -> None:
    email, visitor = console.add("viewer"), console.visit()
    spellings = (f" {email}", f"{email} ", email.upper(), f"\t{email}", f"  {email}")
    assert [visitor.log_in(one, "wrong").status_code for one in spellings] == [401] * 5
    assert visitor.log_in(email).status_code == 429


def test_who_tries_as_a_merchants_user_locks_no_operator_out(console: Console) -> None:
    email = console.add("viewer")
    deps = console.app.extensions[NAME]
    for said in (email, f"operator {email}", f"operator:{email}"):
        for _ in range(5):
            with suppress(TooManyTries):
                count_try(deps, said, "203.0.113.7")
    assert console.visit().log_in(email).status_code == 302


def test_a_password_that_is_changed_meanwhile_opens_no_session(console: Console) -> None:
    email = console.add("viewer")
    with UnitOfWork(console.desk.engine) as work:
        seen = work.operators.find(email)
        assert seen
        work.operators.change(seen.id, password_hash=console.passwords.hash("another long password"))
        later = console.now + timedelta(hours=1)
        assert not work.operators.add_session(b"1" * 32, seen, console.now, later)
        assert work.operators.add_session(b"1" * 32, work.operators.find(email) or seen, console.now, later)


def test_odd_requests_are_answered_with_a_page(console: Console) -> None:
    visitor = console.visit("operator")
    assert visitor.log_in("a\0@example.com").status_code == 400
    assert visitor.get("/events?key=%00").status_code == 400
    assert visitor.get("/events?before=99999999999999999999").status_code == 200
    assert visitor.post("/events/3/replay", reason="x", csrf="é").status_code == 403
    assert visitor.get("/").location == "/console"
    missing = visitor.get("/nothing/here")
    assert (missing.status_code, "there is nothing at this address" in missing.text) == (404, True)


@pytest.mark.parametrize("is_secure", [True, False])
def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(console: Console, is_secure: bool) -> None:
    console = Console(console.desk, is_secure=is_secure)
    cookie = console.visit().log_in(console.add("viewer")).headers["Set-Cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/console"} <= set(cookie.split("; "))
    assert ("Secure" in cookie.split("; ")) == is_secure == cookie.startswith("__Secure-")


@pytest.mark.parametrize(
    ("wanted", "leads"),
    [
        ("/console/events?psp=paper", "/console/events?psp=paper"),
        ("https://elsewhere.example", "/console"),
        ("//elsewhere.example", "/console"),
    ],
)
def test_a_login_leads_to_the_page_that_was_wanted_and_never_elsewhere(
    console: Console, wanted: str, leads: str
) -> None:
    answer = console.visit().log_in(console.add("viewer"), wanted=wanted.replace("?", "%3F"))
    assert answer.location == leads


def test_a_session_ends_by_itself_by_logging_out_and_with_its_operator(console: Console) -> None:
    visitor = console.visit("viewer")
    console.now += timedelta(hours=7, minutes=59)
    assert visitor.get("").status_code == 200
    console.now += timedelta(minutes=2)
    assert visitor.get("").status_code == 302
    assert visitor.log_in("viewer@example.com").status_code == 302
    kept = visitor.client.get_cookie("acuse-console", path="/console")
    assert kept
    assert visitor.post("/logout", csrf=visitor.csrf()).status_code == 302
    visitor.client.set_cookie("acuse-console", kept.value, path="/console")
    assert visitor.get("").status_code == 302, "the token itself is good for nothing any more"


def test_a_form_of_another_site_or_session_changes_nothing(console: Console) -> None:
    visitor, other = console.visit("operator"), console.visit("admin")
    for form in ({}, {"csrf": ""}, {"csrf": other.csrf()}):
        assert visitor.post("/events/3/replay", reason="why not", **form).status_code == 403
    foreign = visitor.client.post(
        "/console/events/3/replay",
        data={"reason": "why not", "csrf": visitor.csrf()},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert foreign.status_code == 403
    assert console.desk.statuses()[2] == ("parked", "livemode_mismatch")


def test_a_password_is_nowhere_in_a_page(console: Console) -> None:
    assert PASSWORD not in console.visit().log_in("a@example.com").text


def test_what_operators_did_cannot_be_changed(console: Console) -> None:
    visitor = console.visit("operator")
    assert visitor.post("/events/3/replay", reason="the key was wrong", csrf=visitor.csrf()).status_code == 302
    for statement in (
        "update operator_actions set reason = 'x'",
        "delete from operator_actions",
        "truncate operator_actions",
    ):
        with pytest.raises(DBAPIError, match="kept as it was written"), console.desk.engine.begin() as connection:
            connection.execute(text(statement))


def test_who_logged_in_and_who_was_refused_is_written_down(console: Console) -> None:
    email, visitor = console.add("viewer"), console.visit()
    assert visitor.log_in(email, "something else").status_code == 401
    assert visitor.log_in("nobody@example.com").status_code == 401
    assert visitor.log_in(email).status_code == 302
    with UnitOfWork(console.desk.engine) as work:
        operator = work.operators.find(email)
        assert operator
        work.operators.change(operator.id, disabled_at=console.now)
        work.commit()
    assert visitor.log_in(email).status_code == 401
    rows = console.desk.rows("select action, subject, reason, details from operator_actions order by id")
    who, source = f"operator {operator.id}", {"source": "127.0.0.1"}
    assert rows == [
        ("operators.login_refused", who, "the password is wrong", source),
        ("operators.login", who, "the password is right", source),
        ("operators.login_refused", who, "the operator is disabled", source),
    ]
    shown = console.visit("admin").get("/actions?lang=es").text
    for why in ("la contraseña es correcta", "la contraseña es incorrecta", "el operador está desactivado"):
        assert f"<td>{why}</td>" in shown


def test_all_that_operators_did_is_shown_a_page_at_a_time_with_its_details(console: Console) -> None:
    visitor = console.visit("viewer")
    with UnitOfWork(console.desk.engine) as work:
        operator = work.operators.find("viewer@example.com")
        assert operator
        for number in range(60):
            details = {"events": list(range(100, 120)), "rate": number}
            action = NewAction(
                operator.id, "events.replay", f"event {number}", "account 646180157000000004", details, NOON
            )
            work.operators.log_action(action)
        work.commit()
    first = visitor.get("/actions").text
    assert "rate: 59; events: 100, 101, 102, 103, 104, 105, 106, 107, 108, 109 ... (20)" in first
    assert "account •••• 0004" in first
    assert "646180157000000004" not in first
    [older] = re.findall(r'href="/console(/actions\?before=[0-9]+)"', first)
    then = visitor.get(older).text
    assert "<td>event 10</td>" in first
    assert "<td>event 9</td>" in then
    assert "<td>event 10</td>" not in then
    assert "operators.login" in then
    assert "Older" not in then
