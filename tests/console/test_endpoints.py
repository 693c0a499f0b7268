"""The pages of endpoints: how they do, and having sent again what they did not get."""

import re
from collections.abc import Iterator
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from bench.growth.plans import watch
from models.endpoint_reading import show_place
from models.states import DeliveryStatus
from models.unit_of_work import UnitOfWork
from tests.console.conftest import Console, Visitor
from tests.workers.merchant_server import Hook
from tests.workers.notify_desk import NotifyDesk

SECRETIVE = "https://user:hunter2@shop.example:8443/hooks/acuse?token=hunter3#hunter4"


class Shop:
    """A merchant with one endpoint and two notifications for it: one failed, one pending."""

    def __init__(self, engine: Engine) -> None:
        self.desk = NotifyDesk(engine)
        self.console = Console(self.desk)
        self.endpoint_id = self.desk.add_endpoint(Hook(url=SECRETIVE))
        self.desk.pay("p1", "p2")
        self.first, self.second = (row[0] for row in self.desk.rows("select id from notifications order by id"))
        self.change(
            "update notification_deliveries set status = 'failed', settled_at = now(), attempts = 8 where notification_id = :id"
        )
        self.change(
            "insert into notification_attempts (notification_id, endpoint_id, merchant_id, number, sent_at, status, error, latency_ms)"
            " select notification_id, endpoint_id, merchant_id, 8, now(), 503, null, 17 from notification_deliveries where notification_id = :id"
        )

    def change(self, statement: str) -> None:
        with self.desk.engine.begin() as connection:
            connection.execute(text(statement), {"id": self.first})

    @property
    def page(self) -> str:
        return f"/endpoints/{self.endpoint_id}"

    def send_again(self, visitor: Visitor, *ids: UUID | str, reason: str = "their server is back") -> str:
        form = {"notification": [str(one) for one in ids], "reason": reason, "csrf": visitor.csrf()}
        answer = visitor.client.post(f"/console{self.page}/replay", data=form)
        return answer.location or str(answer.status_code)

    def statuses(self) -> list[str]:
        return [row[1] for row in self.desk.deliveries()]


@pytest.fixture
def shop(engine: Engine) -> Iterator[Shop]:
    yield Shop(engine)


def test_endpoints_are_listed_with_their_health_and_without_what_may_be_secret(shop: Shop) -> None:
    visitor = shop.console.visit("viewer")
    listed, shown = visitor.get("/endpoints").text, visitor.get(shop.page).text
    for page in (listed, shown):
        assert "shop.example:8443/hooks/acuse" in page
        assert "healthy" in page
        assert not re.search("hunter|whsec|user:", page)
    assert "<td>1</td><td>1</td>" in listed, "one waits and one failed"
    assert "No endpoints are found." in visitor.get("/endpoints?show=trouble").text
    shop.change("update endpoints set failing_since = now() where :id is not null")
    assert "shop.example" in visitor.get("/endpoints?show=trouble").text
    assert visitor.get("/endpoints/0191f3c2-0000-7000-8000-000000000000").status_code == 404


def test_notifications_are_listed_by_status_with_their_attempts_and_no_bodies(shop: Shop) -> None:
    visitor = shop.console.visit("viewer")
    failed, pending = (visitor.get(f"{shop.page}?status={status}").text for status in ("failed", "pending"))
    assert str(shop.first) in failed and str(shop.second) not in failed
    assert "8: " in failed and "503" in failed and "17 ms" in failed
    assert str(shop.second) in pending and str(shop.first) not in pending
    every = visitor.get(shop.page).text
    assert str(shop.first) in every and str(shop.second) in every
    assert "amount" not in every, "no body is shown"
    assert "No notifications are found." in visitor.get(f"{shop.page}?status=skipped").text


def test_what_became_of_an_attempt_is_told_without_the_people_in_it(shop: Shop) -> None:
    visitor = shop.console.visit("viewer")
    error = "update notification_attempts set status = null, error = '{}' where notification_id = :id"
    shop.change(error.format("refused_address"))
    assert "refused_address, 17 ms" in visitor.get(shop.page).text
    assert "dirección no permitida, 17 ms" in visitor.get(f"{shop.page}?lang=es").text
    shop.change(error.format("no: ana@shop.example, nombre: Ana Ruiz, 5512345678 " + "is not known here " * 20))
    shown = visitor.get(shop.page).text
    assert "xx: xxx@xxxx.xxxxxxx, " in shown
    assert not re.search("ana@|Ruiz|5512345678|is not known|(xx xxx xxxxx xxxx ){12}", shown)
    shop.change(error.format('{"error": {"phone": "5512345678", "code": "gone"}}'))
    shown = visitor.get(shop.page).text
    assert not re.search("gone|5512345678", shown)
    shop.change("update endpoints set disabled_at = now(), disabled_reason = 'gone' where :id is not null")
    assert "respondió que ya no existe" in visitor.get(f"{shop.page}?lang=es").text


def test_what_failed_is_sent_again_for_a_reason_that_is_kept(shop: Shop) -> None:
    visitor = shop.console.visit("operator")
    assert "reason+is+needed" in shop.send_again(visitor, shop.first, reason=" ")
    assert "Nothing+was+chosen" in shop.send_again(visitor, "no id")
    assert shop.statuses() == ["failed", "pending"]
    assert "They+are+sent+again." in shop.send_again(visitor, shop.first)
    assert shop.statuses() == ["pending", "pending"]
    [action] = shop.desk.rows(
        "select action, subject, reason, details from operator_actions where action not like 'operators.%'"
    )
    details = {"notifications": [str(shop.first)]}
    assert action == ("notifications.replay", f"endpoint {shop.endpoint_id}", "their server is back", details)
    assert "their server is back" in visitor.get(shop.page).text


def test_nothing_is_sent_to_a_disabled_endpoint_nor_what_belongs_to_somebody_else(shop: Shop) -> None:
    visitor = shop.console.visit("operator")
    assert "Nothing+is+sent" in shop.send_again(visitor, "0191f3c2-0000-7000-8000-000000000000")
    shop.change("update endpoints set disabled_at = now(), disabled_reason = 'gone' where :id is not null")
    assert "Nothing+is+sent" in shop.send_again(visitor, shop.first)
    assert "Send again" not in visitor.get(shop.page).text
    assert shop.statuses() == ["failed", "pending"]
    assert shop.desk.rows("select * from operator_actions where action not like 'operators.%'") == []


def test_a_viewer_sees_what_failed_and_leaves_it(shop: Shop) -> None:
    visitor = shop.console.visit("viewer")
    assert "Send again" not in visitor.get(shop.page).text
    assert shop.send_again(visitor, shop.first) == "403"
    assert shop.statuses() == ["failed", "pending"]


def test_no_list_reads_what_it_does_not_show(shop: Shop) -> None:
    """Twenty thousand notifications that were delivered stand before and behind the few."""
    shop.change(
        "with made as (insert into notifications (id, merchant_id, event_type, body, created_at)"
        " select gen_random_uuid(), merchant_id, 'endpoint.test', '', now() - n * interval '1 s'"
        " from notifications, generate_series(1, 20000) n where id = :id returning *)"
        " insert into notification_deliveries (notification_id, endpoint_id, merchant_id, status, next_attempt_at, created_at, settled_at)"
        " select made.id, e.id, made.merchant_id, 'delivered', now(), made.created_at, now() from made, endpoints e"
    )
    shop.change("analyze notification_deliveries")
    with watch(shop.desk.engine) as plans, UnitOfWork(shop.desk.engine) as work:
        found = {
            status: len(work.endpoint_reader.list_deliveries(shop.endpoint_id, status, 50))
            for status in (None, DeliveryStatus.PENDING, DeliveryStatus.FAILED, DeliveryStatus.SKIPPED)
        }
        listed = work.endpoint_reader.list_endpoints(False, 50)
    assert list(found.values()) == [50, 1, 1, 0]
    assert (listed[0].pending, listed[0].failed) == (1, 1)
    assert all(plan.blocks < 1000 for plan in plans), [plan.nodes for plan in plans if plan.blocks >= 1000]


@pytest.mark.parametrize(
    ("url", "place"),
    [
        (SECRETIVE, "shop.example:8443/hooks/acuse"),
        ("https://shop.example", "shop.example"),
        ("http://127.0.0.1:9000/a?b=c", "127.0.0.1:9000/a"),
    ],
)
def test_of_an_address_host_and_path_are_shown(url: str, place: str) -> None:
    assert show_place(url) == place
