"""Admins say who may do what."""

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from ingress.console.dependencies import NAME
from ingress.console.turns import Turns
from models.states import OperatorRole
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console, Visitor


class Late(Turns):
    """Somebody else is quicker while the page waits for its turn."""

    def __init__(self, first: Callable[[], object]) -> None:
        super().__init__()
        self.first = first

    def take(self) -> bool:
        quicker = threading.Thread(target=self.first)
        self.first = lambda: None
        quicker.start()
        quicker.join()
        return super().take()


def change(console: Console, visitor: Visitor, email: str, **form: str) -> int:
    """The status of the answer to a form about this operator."""
    with UnitOfWork(console.desk.engine) as work:
        found = work.operators.find(email)
    assert found
    csrf = {"csrf": visitor.csrf()} | {"why": "she looks after it now"} | form
    return visitor.post(f"/operators/{found.id}", **csrf).status_code


def actions(console: Console) -> list[tuple[str, str, dict[str, str]]]:
    with console.desk.engine.connect() as connection:
        query = "select action, reason, details from operator_actions where action <> 'operators.login' order by id"
        return [tuple(row) for row in connection.execute(text(query))]  # type: ignore[misc]


def test_an_admin_gives_a_role_and_the_sessions_of_who_gets_it_end(console: Console) -> None:
    admin, viewer = console.visit("admin"), console.visit("viewer")
    assert change(console, admin, "viewer@example.com", action="role", role="operator") == 302
    assert viewer.get("/events").status_code == 302
    assert viewer.log_in("viewer@example.com").status_code == 302
    assert "(operator)" in viewer.get("/events").text
    assert actions(console) == [("operators.role", "she looks after it now", {"from": "viewer", "role": "operator"})]


def test_who_is_disabled_is_out_at_once_until_enabled(console: Console) -> None:
    admin, other = console.visit("admin"), console.visit("operator")
    assert change(console, admin, "operator@example.com", action="disable") == 302
    assert other.get("/events").status_code == 302
    assert other.log_in("operator@example.com").status_code == 401
    assert change(console, admin, "operator@example.com", action="enable") == 302
    assert other.log_in("operator@example.com").status_code == 302
    assert [action for action, *_ in actions(console) if "refused" not in action] == [
        "operators.disable",
        "operators.enable",
    ]


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_nobody_else_sees_the_page_or_changes_anything(console: Console, role: str) -> None:
    visitor, email = console.visit(role), console.add("admin")
    assert visitor.get("/operators").status_code == 403
    assert "/console/operators" not in visitor.get("").text
    assert change(console, visitor, email, action="disable") == 403
    assert console.visit().log_in(email).status_code == 302


def test_nobody_changes_what_they_may_do_themselves(console: Console) -> None:
    admin = console.visit("admin")
    assert change(console, admin, "admin@example.com", action="role", role="viewer") == 403
    assert change(console, admin, "admin@example.com", action="disable") == 403
    page = admin.get("/operators").text
    assert "/console/operators" in admin.get("").text
    assert ("This is you" in page, "<form" in page.split("<main")[1]) == (True, False)


def test_a_change_needs_a_reason_a_known_role_and_an_operator_that_is_there(console: Console) -> None:
    admin, email = console.visit("admin"), console.add("viewer")
    assert change(console, admin, email, action="disable", why=" ") == 302
    assert change(console, admin, email, action="role", role="king") == 400
    assert change(console, admin, email, action="delete") == 400
    csrf = admin.csrf()
    nobody = "/operators/01a21b1a-a02b-7173-a7c3-f5a792fa732d"
    assert admin.post(nobody, csrf=csrf, why="x", action="disable").status_code == 404
    assert admin.post(nobody, why="x", action="disable").status_code == 403
    assert actions(console) == []


def test_an_admin_who_was_disabled_a_moment_ago_changes_nobody(console: Console) -> None:
    one, email = console.visit("admin"), "second@example.com"
    with UnitOfWork(console.desk.engine) as work:
        first = work.operators.find("admin@example.com")
        assert first
        work.operators.add(uuid7(), email, first.password_hash, OperatorRole.ADMIN, console.now)
        work.commit()
    other = console.visit()
    assert other.log_in(email).status_code == 302
    theirs = {"csrf": other.csrf(), "why": "x", "action": "disable"}
    late = Late(lambda: other.post(f"/operators/{first.id}", **theirs))
    mine, turns = one.csrf(), console.app.extensions[NAME]
    console.app.extensions[NAME] = replace(turns, turns=late)
    with UnitOfWork(console.desk.engine) as work:
        second = work.operators.find(email)
        assert second
    assert one.post(f"/operators/{second.id}", csrf=mine, why="x", action="disable").status_code == 403
    with UnitOfWork(console.desk.engine) as work:
        kept = work.operators.lock([first.id, second.id])
    assert [bool(kept[id].disabled_at) for id in (first.id, second.id)] == [True, False]


def test_what_is_so_already_is_not_done_nor_logged(console: Console) -> None:
    admin, viewer = console.visit("admin"), console.visit("viewer")
    assert change(console, admin, "viewer@example.com", action="role", role="viewer") == 302
    assert change(console, admin, "viewer@example.com", action="enable") == 302
    assert viewer.get("/events").status_code == 200
    assert actions(console) == []
