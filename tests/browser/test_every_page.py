"""What holds for every page of the console: it can be used by everybody, fits a telephone, and obeys its own policy."""

from datetime import timedelta
from typing import Any

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright import sync_api as playwright

from models.states import OperatorRole
from tests.browser.books import find_yesterday
from tests.browser.conftest import Watched
from tests.browser.house import PASSWORD, list_pages

BOOKS = "/console/reconciliation/stripe/default"
SHOWN = {
    "event": lambda house: f"/console/events/{house.find('select min(id) from inbox_events')}",
    "payment": lambda house: f"/console/payments/{house.payment}",
    "discrepancy": lambda house: f"/console/discrepancies/{house.find('select min(id) from discrepancies')}",
    "account": lambda house: BOOKS,
    "day": lambda house: f"{BOOKS}/{find_yesterday()}",
    "day-open": lambda house: f"{BOOKS}/{find_yesterday() + timedelta(days=1)}",
    "endpoint": lambda house: f"/console/endpoints/{house.endpoint}",
    "replay-dry-run": lambda house: "/console/replay?status=parked&look=1",
    "replay-run": lambda house: "/console/replay/runs/1",
}
MORE = ("/console/login", *SHOWN, "/console/nothing/here", "/console?still=1")
GRAVE = ("serious", "critical")
NARROW = 360
WIDER = "document.documentElement.scrollWidth"
RUN = """async options => {
    const found = await axe.run(document, options);
    return found.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.html).join("\\n")]);
}"""


def open_page(visit: Watched, name: str) -> str:
    """The name that its pictures get."""
    visit.open(SHOWN[name](visit.house) if name in SHOWN else name)
    return name.removeprefix("/console").strip("/").replace("/", "-").replace("?", "-") or "now"


def find_flaws(visit: Watched, **options: Any) -> list[Any]:
    return [flaw for flaw in visit.page.evaluate(RUN, options) if flaw[0] in GRAVE]


@pytest.mark.parametrize("name", [*list_pages(), *MORE])
def test_a_page_is_for_everybody(visit: Watched, name: str) -> None:
    shown = open_page(visit, name)
    visit.keep(f"{shown}-light")
    visit.page.evaluate(AXE_SCRIPT)
    assert find_flaws(visit) == []
    visit.page.emulate_media(color_scheme="dark")
    visit.keep(f"{shown}-dark")
    assert find_flaws(visit, runOnly=["color-contrast"]) == []
    visit.page.set_viewport_size({"width": NARROW, "height": 740})
    visit.keep(f"{shown}-narrow-dark")
    assert visit.page.evaluate(WIDER) <= NARROW
    if name == "/console/nothing/here":
        visit.complaints.remove("Failed to load resource: the server responded with a status of 404 (Not Found)")


def test_the_pages_are_those_that_every_page_leads_to(visit: Watched) -> None:
    page = visit.open("/console")
    links = page.locator("nav a")
    assert [link.get_attribute("href") for link in links.all()] == list_pages()


def test_a_flaw_would_be_found(visit: Watched) -> None:
    visit.open("/console/events")
    visit.page.evaluate(AXE_SCRIPT)
    visit.page.evaluate(
        "document.querySelector('input[name=key]').closest('label').replaceWith(document.createElement('input'))"
    )
    assert [flaw[:2] for flaw in find_flaws(visit)] == [["critical", "label"]]


def test_an_admin_gives_a_role_on_a_page_for_everybody(stranger: Watched) -> None:
    admin, other = "admin@example.com", "bea@example.com"
    stranger.house.add_operator(admin, OperatorRole.ADMIN)
    stranger.house.add_operator(other, OperatorRole.VIEWER)
    page = stranger.open("/console/login?next=/console/operators")
    page.get_by_label("E-mail address").fill(admin)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    hers = page.get_by_role("region", name=other)
    hers.get_by_label("Role").select_option("operator")
    hers.get_by_label("Why?").fill("she is on call now")
    stranger.keep("operators-light")
    hers.get_by_role("button", name="Change the role").click()
    playwright.expect(page.get_by_role("status")).to_have_text("The role is changed.")
    playwright.expect(hers.get_by_role("heading")).to_contain_text("operator")
    page.evaluate(AXE_SCRIPT)
    assert find_flaws(stranger) == []
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": NARROW, "height": 740})
    stranger.keep("operators-narrow-dark")
    assert page.evaluate(WIDER) <= NARROW
