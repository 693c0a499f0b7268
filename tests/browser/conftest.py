"""A real browser, which logs in once and tells whatever it complains of and whomever it asks."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright import sync_api as playwright

from embedded import RunningEngine
from tests.browser.house import EMAIL, PASSWORD, House, MakeDatabase, open_house

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, BROWSERS)), None)
ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu")  # root and most containers have no sandbox


@dataclass
class Watched:
    """A page, and what was heard of it since it was opened."""

    page: playwright.Page
    house: House
    folder: Path
    complaints: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.page.on(
            "console", lambda said: self.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))

    def open(self, path: str) -> playwright.Page:
        self.page.goto(self.house.url + path)
        return self.page

    def keep(self, name: str) -> None:
        """A picture for people to look at."""
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=True)


@pytest.fixture(scope="package")
def executable() -> str:
    if BROWSER is None:
        pytest.skip(f"none of {', '.join(BROWSERS)} is installed: no browser to look with")
    return BROWSER


@pytest.fixture(scope="package")
def house(
    executable: str, make_database: MakeDatabase, redis_server: RunningEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with open_house(make_database(), redis_server.url, tmp_path_factory.mktemp("sandbox")) as opened:
        yield opened


# Of the package: while it is open no other test may have an event loop in this thread, nor may the house be built.
@pytest.fixture(scope="package")
def browser(executable: str, house: House) -> Iterator[playwright.Browser]:
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=executable, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def pictures(pytestconfig: pytest.Config) -> Path:
    folder = pytestconfig.rootpath / str(pytestconfig.getoption("--screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="package")
def session(browser: playwright.Browser, house: House) -> playwright.StorageState:
    """The cookies of an operator who is logged in."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{house.url}/console/login")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{house.url}/console")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def stranger(browser: playwright.Browser, house: House, pictures: Path) -> Iterator[Watched]:
    """Nobody is logged in."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    yield Watched(context.new_page(), house, pictures)
    context.close()


@pytest.fixture
def visit(
    browser: playwright.Browser, house: House, session: playwright.StorageState, pictures: Path
) -> Iterator[Watched]:
    """Somebody who may act; the browser must have nothing to complain of, and nobody else may be asked."""
    context = browser.new_context(storage_state=session, viewport={"width": 1200, "height": 900})
    watched = Watched(context.new_page(), house, pictures)
    yield watched
    context.close()
    assert watched.complaints == []
    assert {url for url in watched.asked if not url.startswith(house.url)} == set()
