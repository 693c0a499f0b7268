"""What operators do in the console, done in a browser."""

import re

import pytest
from playwright import sync_api as playwright
from sqlalchemy import text

from tests.browser.conftest import Watched
from tests.browser.house import EMAIL, PASSWORD

expect = playwright.expect
FOCUSED = "[document.activeElement.id, document.activeElement.textContent.trim()]"


def choose(page: playwright.Page, name: str) -> playwright.Locator:
    return page.get_by_role("combobox", name=name)


def test_who_logs_in_comes_to_the_page_that_was_wanted(stranger: Watched) -> None:
    page = stranger.open("/console/events?status=parked")
    expect(page).to_have_url(re.compile("/console/login"))
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD[:-1])
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("e-mail address or password are wrong")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{stranger.house.url}/console/events?status=parked")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    page.go_back()
    page.reload()
    expect(page).to_have_url(re.compile("/console/login"))


def test_an_event_is_found_looked_at_and_processed_again_for_a_reason(visit: Watched) -> None:
    event = visit.house.park_one()
    page = visit.open("/console/events")
    choose(page, "PSP").select_option("stripe")
    choose(page, "Status").select_option("parked")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("link", name=str(event), exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Event {event} parked")
    expect(page.get_by_role("region", name="Body")).to_contain_text("payment_intent.succeeded")
    page.get_by_label("Why?").fill("the account was set to test by mistake")
    page.get_by_role("button", name="Process again").click()
    expect(page.get_by_role("status")).to_have_text("It is processed again.")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Event {event} received")
    visit.keep("event-again-light")
    page.get_by_role("link", name="Actions").click()
    expect(page.get_by_role("row").nth(1)).to_contain_text("the account was set to test by mistake")
    visit.house.work()


def test_events_are_found_by_a_time_that_is_chosen(visit: Watched) -> None:
    page = visit.open("/console/events")
    page.get_by_label("Received from (UTC)").fill("2020-01-01T00:00")
    page.get_by_label("until (UTC)").fill("2020-01-02T00:00")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No events are found.")).to_be_visible()
    page.get_by_label("until (UTC)").fill("")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_role("row").nth(1)).to_be_visible()


def test_a_payment_leads_to_its_events_and_back(visit: Watched) -> None:
    page = visit.open("/console/payments")
    choose(page, "State").select_option("refunded")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("refunded")
    page.get_by_role("region").first.get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("processed")


def test_it_speaks_spanish_and_remembers_it(visit: Watched) -> None:
    page = visit.open("/console")
    page.get_by_role("link", name="Español").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Ahora")
    assert page.evaluate("document.documentElement.lang") == "es"
    page.get_by_role("link", name="Pagos").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Pagos")
    visit.keep("payments-spanish-light")


def test_it_is_dark_where_the_browser_is(visit: Watched) -> None:
    page, ground = visit.open("/console"), "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.emulate_media(color_scheme="dark")
    assert (light, page.evaluate(ground)) == ("rgb(255, 255, 255)", "rgb(20, 23, 28)")


def test_the_keyboard_skips_to_the_content_or_goes_through_everything_in_order(visit: Watched) -> None:
    page = visit.open("/console/events")
    page.keyboard.press("Tab")
    assert page.evaluate(FOCUSED)[1] == "Skip to the content"
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate(FOCUSED)[1])
    assert names == ["Acuse", "Now", "Events", "Parked"]
    page.get_by_text("Skip to the content").focus()
    page.keyboard.press("Enter")
    assert page.evaluate(FOCUSED)[0] == "content"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.name") == "psp"


def test_now_renews_itself_and_leaves_the_focus_where_it_is(visit: Watched) -> None:
    page = visit.page
    page.clock.install()
    visit.open("/console")
    count = page.locator("#aside-stripe-parked")
    before = int(count.inner_text())
    count.focus()
    visit.house.park_one()
    page.clock.fast_forward(11_000)
    expect(count).to_have_text(str(before + 1))
    assert page.evaluate(FOCUSED) == ["aside-stripe-parked", str(before + 1)]
    assert f"{visit.house.url}/console/now" in visit.asked


def test_now_leads_to_the_login_once_the_session_is_over(visit: Watched, stranger: Watched) -> None:
    page = visit.page
    page.clock.install()
    visit.open("/console")
    with visit.house.engine.begin() as connection:
        kept = connection.execute(text("delete from operator_sessions returning *")).mappings().all()
    try:
        page.clock.fast_forward(11_000)
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
    finally:
        with visit.house.engine.begin() as connection:
            names = ", ".join(kept[0])
            values = ", ".join(f":{name}" for name in kept[0])
            for one in kept:
                connection.execute(text(f"insert into operator_sessions ({names}) values ({values})"), dict(one))
    visit.complaints.remove("Failed to load resource: the server responded with a status of 401 (Unauthorized)")


@pytest.mark.parametrize("is_still", [False, True])
def test_now_works_without_scripts(visit: Watched, session: playwright.StorageState, is_still: bool) -> None:
    browser = visit.page.context.browser
    assert browser is not None
    context = browser.new_context(storage_state=session, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{visit.house.url}/console{'?still=1' if is_still else ''}")
    expect(page.get_by_role("heading", name="What waits")).to_be_visible()
    assert page.locator("meta[http-equiv=refresh]").count() == (0 if is_still else 1)
    context.close()


def test_what_is_watched_for_would_be_heard(visit: Watched) -> None:
    page = visit.open("/console/events")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {text: 'document.title = 1'}))")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=\"http://elsewhere.example/\">')")
    page.wait_for_timeout(100)
    assert page.title() == "Events · Acuse"
    heard = [said for said in visit.complaints if "Content Security Policy" in said]
    assert len(heard) == 2
    visit.complaints.clear()
    visit.asked = {url for url in visit.asked if "elsewhere.example" not in url}


def test_what_would_change_is_looked_at_and_then_done(visit: Watched) -> None:
    event = visit.house.park_one_that_would_be_taken("a bug that is mended")
    page = visit.open("/console/parked")
    group = page.get_by_role("region", name="stripe: a bug that is mended")
    group.get_by_role("link", name="What would change?").click()
    expect(page.get_by_role("heading", name="Payments that would change: 1")).to_be_visible()
    row = page.get_by_role("region", name=re.compile("^Event, ")).get_by_role("row").nth(1)
    expect(row).to_contain_text(str(event))
    expect(row).to_contain_text("completed: APPLIED")
    visit.keep("replay-would-change-light")
    page.get_by_label("Why?").fill("the bug is mended")
    page.get_by_role("button", name="Process all that fit again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Replay run \d+ running$"))
    expect(page.get_by_role("link", name="Stop", exact=True)).to_be_visible()
    for _ in range(2):  # the second finds that nothing is left
        visit.house.advance()
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile(r"^Replay run \d+ done$"))
    expect(page.get_by_role("region", name=re.compile("^When, "))).to_contain_text("the bug is mended")
    visit.keep("replay-run-done-light")
    visit.open(f"/console/events/{event}")
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Event {event} processed")


def test_a_reason_that_is_being_typed_stays_until_the_run_offers_something_else(visit: Watched) -> None:
    page = visit.page
    page.clock.install()
    visit.house.start_run()
    run = visit.house.find("select max(id) from replay_runs")
    visit.open(f"/console/replay/runs/{run}")
    page.get_by_label("Why?").fill("half of a reas")
    with page.expect_response(f"{visit.house.url}/console/replay/runs/{run}/part") as answer:
        page.clock.fast_forward(11_000)
    assert answer.value.ok
    expect(page.get_by_label("Why?")).to_have_value("half of a reas")
    visit.house.change("update replay_runs set state = 'paused' where state = 'running'")
    page.clock.fast_forward(11_000)
    expect(page.get_by_role("button", name="Go on")).to_be_visible()


def test_a_difference_is_approved_and_heals(visit: Watched) -> None:
    page = visit.open("/console/discrepancies")
    choose(page, "Status").select_option("waits for approval")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("row").nth(1).get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Missing here")
    page.get_by_label("Why?").first.fill("seen in their dashboard")
    page.get_by_role("button", name=re.compile("^Approve")).click()
    expect(page.get_by_role("status")).to_have_text("It is being healed by the PSP's own answer.")
    visit.house.settle()
    page.reload()
    expect(page.get_by_role("definition").first).to_have_text("healed")
    visit.keep("discrepancy-healed-light")
    page.get_by_role("definition").get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("processed")
