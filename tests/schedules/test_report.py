"""What people read: the report and the certificate as pages, and the report as CSV and JSON."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click import Command
from click.testing import CliRunner, Result
from sqlalchemy import create_engine

from commands.certificates import certificates
from commands.close import close
from commands.day_files import find_user
from commands.report import report as report_command
from embedded import RunningEngine
from models.closings import DayKey
from psps.clabe import mask_clabes
from schedules.calendar.banking import PastTheData
from schedules.closing.service import CloseRequest, close_day
from schedules.reporting.charts import Bar, Column, draw_bars, draw_columns
from schedules.reporting.csv_files import REPORT_COLUMNS, write_report
from schedules.reporting.day_report import MOST_ROWS, MOST_STORIES, fill_trend, read_all_differences, read_report
from schedules.reporting.documents import draw_certificate, draw_report
from schedules.reporting.money import NOTHING, write_decimal, write_money
from tests.schedules.books import DAY, KEY, NEXT_MORNING, Books
from tests.schedules.full_day import CLABE, NASTY, fill_day

FORCED = "<img src=x onerror=alert(1)> they wait"


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html, self.tags, self.attributes, self.texts = html, list[str](), list[tuple[str, str, str]](), list[str]()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.texts))


@pytest.fixture(scope="module")
def books(make_database: Callable[[], str]) -> Iterator[Books]:
    engine = create_engine(make_database())
    books = Books(engine)
    fill_day(books)
    yield books
    engine.dispose()


@pytest.fixture(scope="module")
def told(books: Books) -> dict[str, Any]:
    return read_report(books.unit_of_work, KEY, NEXT_MORNING)


@pytest.fixture(scope="module")
def pages(books: Books, told: dict[str, Any]) -> dict[str, Page]:
    """The report of the day, and its certificate, made by force and forgotten again."""
    closing = books.close_ready(why=FORCED).closing
    books.run("truncate day_closings")
    return {"report": Page(draw_report(told)), "certificate": Page(draw_certificate(closing, None))}


@pytest.mark.parametrize("name", ["report", "certificate"])
def test_a_page_stands_alone_and_runs_nothing(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    assert not {"script", "link", "img", "iframe", "object", "form", "base"} & set(page.tags)
    outward = [
        (tag, attribute, value) for tag, attribute, value in page.attributes if re.search(r"//|javascript:", value)
    ]
    assert outward == []
    assert not any(
        attribute.startswith("on") or attribute in ("src", "href", "style") for _, attribute, _ in page.attributes
    )
    assert "@import" not in page.html and not re.search(r"url\((?!#)", page.html)
    assert ("html", "lang", "en") in page.attributes
    [policy] = [value for _, name, value in page.attributes if name == "content" and "default-src" in value]
    assert re.fullmatch(r"default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'", policy)


@pytest.mark.parametrize("name", ["report", "certificate"])
def test_what_others_have_written_is_text_and_nothing_else(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    assert NASTY in page.text
    assert NASTY not in page.html
    if name == "certificate":
        assert FORCED in page.text


@pytest.mark.parametrize("name", ["report", "certificate"])
def test_every_chart_says_what_it_shows(pages: dict[str, Page], name: str) -> None:
    page = pages[name]
    drawings = re.findall(r'<svg class="chart".*?</svg>', page.html, re.DOTALL)
    assert len(drawings) == {"report": 4, "certificate": 2}[name]
    for drawn in drawings:
        titled = re.match(r'<svg class="chart" role="img" aria-labelledby="(\S+) (\S+)"', drawn)
        assert titled
        assert f'<title id="{titled[1]}">' in drawn and f'<desc id="{titled[2]}">' in drawn
    ids = [value for _, attribute, value in page.attributes if attribute == "id"]
    assert len(ids) == len(set(ids))


def test_no_account_of_anybody_is_shown_whole(pages: dict[str, Page], books: Books) -> None:
    page = pages["report"]
    assert CLABE not in page.html
    assert f"see account •••• {CLABE[-4:]}" in page.text
    assert "Ana Ruiz" not in page.html, "what a witness said may name people"
    written = [CLABE in line for line in _write_csv(books).splitlines()]
    assert not any(written)


def test_the_report_tells_the_day(pages: dict[str, Page], told: dict[str, Any]) -> None:
    text = pages["report"].text
    assert "Stripe · default · Friday, 20 November 2026" in text
    assert "Not closed yet" in text and "6 differences are open" in text
    for money in told["money"]:
        assert write_money(money["net_minor"], money["currency"]) in text
    assert told["lines"] == sum(row["count"] for row in told["by_state"]) == sum(m["payments"] for m in told["money"])


def test_each_difference_is_told_with_ours_beside_theirs(told: dict[str, Any]) -> None:
    stories = {one["kind"]: one for one in told["stories"]}
    assert len(stories) == told["differences_total"] == 9
    assert [one["fate"] for one in told["stories"]][:6] == ["open"] * 6, "what is open comes first"
    healed = stories["state"]
    sides = {side["field"]: (side["ours"], side["theirs"], side["differs"]) for side in healed["sides"]}
    assert sides["state"] == ("pending", "completed", True)
    assert sides["amount_minor"] == (10_000, 10_000, False)
    happened = [(entry["side"], entry["what"], entry["mark"]) for entry in healed["timeline"]]
    assert happened == [
        ("here", "new → pending", ""),
        ("both", "Difference found", "opened"),
        ("there", "The PSP's answer", ""),
        ("both", "Healing approved by ana", "decision"),
        ("here", "pending → completed", "healing"),
        ("both", "Difference closed", "closed"),
    ]
    assert stories["missing_here"]["payment_id"] is None
    witnesses = [entry["what"] for entry in stories["operating_date"]["timeline"] if entry["side"] == "there"]
    assert witnesses == ["The PSP's answer", "Banxico's proof of payment (CEP)"]


def test_what_the_one_door_refused_is_told_in_the_same_words(make_database: Callable[[], str]) -> None:
    books = Books(create_engine(make_database()))
    books.add_door_difference(books.add_payment("pi_door"))
    [story] = read_report(books.unit_of_work, KEY, NEXT_MORNING)["stories"]
    sides = {side["field"]: (side["ours"], side["theirs"]) for side in story["sides"]}
    assert sides["amount_minor"] == (10_000, 10_000)
    assert sides["received_minor"] == (None, 10_001)
    assert (story["source"], story["psp_payment_id"]) == ("door", "pi_door")
    books.engine.dispose()


def test_the_trend_has_every_day_of_the_last_thirty(told: dict[str, Any]) -> None:
    assert [row["day"] for row in told["trend"]] == [
        (DAY - timedelta(days=back)).isoformat() for back in range(29, -1, -1)
    ]
    assert told["trend"][-1] == {"day": "2026-11-20", "open": 6, "healed": 1, "dismissed": 1, "explained": 1}
    assert sum(row["open"] for row in told["trend"]) == 9
    assert fill_trend([], date(2026, 3, 1))[-1]["open"] == 0


def test_a_long_day_is_cut_on_the_page_and_whole_in_the_csv(make_database: Callable[[], str]) -> None:
    books = Books(create_engine(make_database()))
    total = MOST_ROWS + 7
    books.run(
        "insert into discrepancies (source, psp, account, psp_payment_id, kind, account_day, ours, theirs, opened_at) "
        "select 'reconciliation', 'stripe', 'default', 'pi_' || n, 'missing_here', '2026-11-20', '{}', "
        """'{"state": "completed"}', now() from generate_series(1, :total) n""",
        total=total,
    )
    read = read_report(books.unit_of_work, KEY, NEXT_MORNING)
    assert (len(read["stories"]), len(read["others"])) == (MOST_STORIES, MOST_ROWS - MOST_STORIES)
    page = Page(draw_report(read))
    assert "7 more differences are not on this page. The CSV has all of them" in page.text
    rows = list(csv.DictReader(io.StringIO(_write_csv(books))))
    assert len({row["difference"] for row in rows if row["section"] == "difference"}) == total
    books.engine.dispose()


def test_an_empty_day_has_a_page_too(books: Books) -> None:
    key = DayKey("stp", "default", date(2025, 6, 3))
    page = Page(draw_report(read_report(books.unit_of_work, key, NEXT_MORNING)))
    assert "No payment belongs to this day." in page.text
    assert "SPEI operating date, from 2025-06-02 18:00:00 to before 2025-06-03 18:00:00" in page.text


def test_the_csv_has_the_same_numbers(books: Books, told: dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(_write_csv(books))))
    assert {row["section"] for row in rows} == {
        "day", "money", "by_state", "by_method", "crypto", "settlement", "differences", "trend", "reason", "difference", "field",
        "event",
    }  # fmt: skip
    peso, dollar = [row for row in rows if row["section"] == "money"]
    assert (peso["currency"], dollar["currency"]) == ("MXN", "USD")
    assert int(peso["net_minor"]) == told["money"][0]["net_minor"]
    assert peso["net"] == write_decimal(told["money"][0]["net_minor"], "MXN")
    crypto = [row for row in rows if row["section"] == "crypto"]
    assert [(row["crypto_asset"], row["name"], row["crypto_amount"]) for row in crypto] == [
        ("usdc", "completed", "25.500000000000000001"),
        ("usdc", "pending", ""),
    ]
    assert len([row for row in rows if row["section"] == "trend"]) == 30
    assert len([row for row in rows if row["section"] == "difference"]) == 9


def test_texts_in_the_csv_are_never_formulas(told: dict[str, Any]) -> None:
    file = io.StringIO()
    story = told["stories"][0] | {"psp_payment_id": "=HYPERLINK(1)", "amount_minor": -500}
    write_report(file, told | {"reasons": [{"code": "x", "text": "+1"}]}, [story])
    rows = list(csv.DictReader(io.StringIO(file.getvalue())))
    assert tuple(rows[0]) == REPORT_COLUMNS
    assert {row["psp_payment_id"] for row in rows if row["difference"]} == {"'=HYPERLINK(1)"}
    assert [row["text"] for row in rows if row["section"] == "reason"] == ["'+1"]
    [difference] = [row for row in rows if row["section"] == "difference"]
    assert (difference["amount"], difference["amount_minor"]) == ("-5.00", "-500"), "a number stays one"


def _write_csv(books: Books) -> str:
    file = io.StringIO(newline="")
    read = read_report(books.unit_of_work, KEY, NEXT_MORNING)
    write_report(file, read, read_all_differences(books.unit_of_work, KEY))
    return file.getvalue()


def test_amounts_are_exact_in_every_currency() -> None:
    assert write_decimal(-5, "MXN") == "-0.05"
    assert write_decimal(9_007_199_254_740_993, "MXN") == "90071992547409.93"
    assert (write_decimal(1234, "JPY"), write_decimal(1234, "KWD"), write_decimal(None, "MXN")) == ("1234", "1.234", "")
    assert write_money(-123_450, "MXN") == "\N{MINUS SIGN}1,234.50 MXN"


def test_only_a_clabe_is_masked() -> None:
    assert mask_clabes(f"a:{CLABE}:b") == "a:•••• 0007:b"
    assert mask_clabes("646180110400000008") == "646180110400000008", "its check digit is wrong"
    assert mask_clabes(f"ab{CLABE}") == f"ab{CLABE}", "the middle of a hash"


def test_a_chart_of_nothing_and_one_below_zero_are_drawn() -> None:
    assert "<rect" not in draw_bars("none", "None", "Nothing to show.", [])
    below = draw_bars("net", "Net", "Below", [Bar("Received", "1", 0, 100), Bar("Net", "2", 0, -50, "net")])
    assert 'class="fill-net" x="0.0%" y="52" width="33.333%"' in below
    empty = draw_columns("trend", "Trend", "None", [Column("1 Nov", (("open", 0),))])
    assert 'class="fill-open"' not in empty
    assert "&lt;b&gt;" in draw_bars("x", "<b>", "d", [Bar("<b>", "<b>", 0, 1)])


def test_a_closed_day_says_so_and_one_that_has_changed_too(make_database: Callable[[], str]) -> None:
    books = Books(create_engine(make_database()))
    books.add_payment("pi_1")
    books.add_run()
    assert "Ready to be closed" in Page(draw_report(read_report(books.unit_of_work, KEY, NEXT_MORNING))).text
    closing = books.close_ready().closing
    read = read_report(books.unit_of_work, KEY, NEXT_MORNING)
    assert read["closing"]["certificate_hash"] == closing.certificate_hash.hex()
    assert "Closed, and unchanged since" in Page(draw_report(read)).text
    later = NEXT_MORNING + timedelta(hours=1)
    books.run("update payments set state = 'disputed', updated_at = :at", at=later)
    text = Page(draw_report(read_report(books.unit_of_work, KEY, later))).text
    assert "This day has changed since it was closed" in text and "1 payment was written to since" in text
    books.engine.dispose()


def test_a_closed_day_with_something_open_is_never_called_unchanged(make_database: Callable[[], str]) -> None:
    books = Books(create_engine(make_database()))
    books.add_payment("pi_1")
    books.add_run()
    books.close_ready()
    books.add_event("parked")
    text = Page(draw_report(read_report(books.unit_of_work, KEY, NEXT_MORNING))).text
    assert "unchanged since" not in text and "Closed, and not all of it is settled" in text and "parked" in text
    books.add_difference("pi_1")
    read = read_report(books.unit_of_work, KEY, NEXT_MORNING)
    text = Page(draw_report(read)).text
    assert "1 difference is open that version 1 does not name" in text and "1 difference is open: " in text
    file = io.StringIO(newline="")
    write_report(file, read, [])
    told = {
        row["name"]: row["text"] for row in csv.DictReader(io.StringIO(file.getvalue())) if row["section"] == "closing"
    }
    assert (told["certificate"], told["forced"]) == (read["closing"]["certificate_hash"], "no")
    assert told["changed"].startswith("1 difference is open that version 1 does not name")
    books.engine.dispose()


def test_each_side_is_in_its_own_currency_and_what_is_late_says_since_when(make_database: Callable[[], str]) -> None:
    books = Books(create_engine(make_database()))
    ours, theirs = ({"amount_minor": 123_400, "currency": currency} for currency in ("MXN", "JPY"))
    books.add_difference("pi_1", "currency", ours=ours, theirs=theirs)
    books.add_difference("pi_2", "late", ours=ours, theirs={"settlement": None, "due_day": "2026-11-24"})
    text = Page(draw_report(read_report(books.unit_of_work, KEY, NEXT_MORNING))).text
    assert "Amount 1,234.00 MXN 123,400 JPY" in text
    assert f"Due to be settled {NOTHING} 2026-11-24" in text
    books.engine.dispose()


def test_a_certificate_that_another_has_followed_says_so(books: Books) -> None:
    closing = books.close_ready(why=FORCED).closing
    books.run("truncate day_closings")
    text = Page(draw_certificate(closing, None, superseded_by=3)).text
    assert "Superseded by version 3" in text
    assert "USDC Completed in 2 2 25.500000000000000001" in text


Acuse = Callable[..., Result]


@pytest.fixture
def acuse(books: Books, redis_server: RunningEngine) -> Acuse:
    """The commands, on this database."""
    environment = {
        "ACUSE_DATABASE_URL": books.engine.url.render_as_string(hide_password=False).replace("+psycopg2", ""),
        "ACUSE_BROKER_URL": redis_server.url,
        "ACUSE_PSPS": "stripe",
        "ACUSE_STRIPE_WEBHOOK_SECRETS": "whsec_9fQ2researchVectorKey0123456789",
    }
    return lambda command, *arguments: CliRunner().invoke(command, arguments, env=environment)


DAY_OPTIONS = ("--psp", "stripe", "--date", "2026-11-20")


def test_a_day_is_closed_shown_verified_and_reported_by_commands(acuse: Acuse, books: Books, tmp_path: Path) -> None:
    refused = acuse(close, *DAY_OPTIONS)
    assert refused.exit_code == 1
    assert "6 differences are open" in refused.output and "--force --reason TEXT" in refused.output
    told = json.loads(acuse(close, *DAY_OPTIONS, "--json").stdout)
    assert (told["closed"], [reason["code"] for reason in told["reasons"]]) == (False, ["open_differences"])
    assert acuse(close, *DAY_OPTIONS, "--force").exit_code == 2
    forced = acuse(
        close, *DAY_OPTIONS, "--force", "--reason", "month end", "--by", "ana", "--out", str(tmp_path / "out")
    )
    assert forced.exit_code == 0, forced.output
    assert "by force, because: month end" in forced.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "certificate.html",
        "certificate.json",
        "lines.csv",
    ]
    again = acuse(close, *DAY_OPTIONS)
    assert again.exit_code == 1 and "closed already by ana" in again.output
    assert "nothing has changed" not in again.output and "6 differences are open" in again.output
    [listed] = json.loads(acuse(certificates, "list", "--json").stdout)
    kept = json.loads((tmp_path / "out" / "certificate.json").read_text(encoding="utf-8"))
    assert kept["certificate_hash"] == listed["certificate_hash"]
    for kind in ("html", "csv", "json"):
        name = {"html": "certificate.html", "csv": "lines.csv", "json": "certificate.json"}[kind]
        out = tmp_path / kind
        assert acuse(certificates, "show", *DAY_OPTIONS, "--format", kind, "--out", str(out)).exit_code == 0
        assert out.read_bytes() == (tmp_path / "out" / name).read_bytes()
    assert listed["certificate_hash"] in acuse(certificates, "show", *DAY_OPTIONS).output
    verified = acuse(certificates, "verify", "--psp", "stripe", "--json")
    assert (verified.exit_code, json.loads(verified.stdout)["ok"]) == (0, True)
    written = acuse(report_command, *DAY_OPTIONS, "--out", str(tmp_path / "report.html"))
    assert written.exit_code == 0, written.output
    assert "Closed by force" in Page((tmp_path / "report.html").read_text(encoding="utf-8")).text
    assert len(json.loads(acuse(report_command, *DAY_OPTIONS, "--format", "json").stdout)["stories"]) == 9
    kept = listed["certificate_hash"]
    assert acuse(certificates, "verify", "--psp", "stripe", "--expect", kept[:16].upper()).exit_code == 0
    missing = acuse(certificates, "verify", "--psp", "stripe", "--expect", "0" * 16)
    assert missing.exit_code == 1 and "is not in the chain" in missing.output
    assert acuse(certificates, "verify", "--psp", "stripe", "--expect", kept[:15]).exit_code == 2
    assert "by force: month end" in acuse(certificates, "verify", "--psp", "stripe").output
    books.run("update payments set received_minor = 0, refunded_minor = 0 where psp_payment_id = 'pi_story_state'")
    changed = acuse(certificates, "verify", "--psp", "stripe")
    assert changed.exit_code == 1 and "changed since" in changed.output
    assert "has changed since" in acuse(certificates, "show", *DAY_OPTIONS).output
    assert acuse(close, *DAY_OPTIONS, "--force", "--reason", "again").exit_code == 0
    assert "superseded by version 2" in acuse(certificates, "show", *DAY_OPTIONS, "--version", "1").output
    old = tmp_path / "old.html"
    acuse(certificates, "show", *DAY_OPTIONS, "--version", "1", "--format", "html", "--out", str(old))
    assert "Superseded by version 2" in Page(old.read_text(encoding="utf-8")).text
    books.run("truncate day_closings")
    assert acuse(certificates, "verify", "--psp", "stripe").exit_code == 1, "nothing is no chain"


def test_a_day_is_not_closed_for_a_folder_that_cannot_be_written(acuse: Acuse, books: Books, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    forced = ("--force", "--reason", "x", "--out")
    refused = acuse(close, *DAY_OPTIONS, *forced, str(tmp_path / "file" / "out"))
    assert refused.exit_code == 1 and "not closed: " in refused.stderr
    assert books.run("select count(*) from day_closings") == [(0,)]
    (tmp_path / "out" / "lines.csv").mkdir(parents=True)
    half = acuse(close, *DAY_OPTIONS, *forced, str(tmp_path / "out"))
    assert half.exit_code == 1 and "closed; files not written, use `acuse certificates show`" in half.stderr
    assert books.run("select count(*) from day_closings") == [(1,)]
    books.run("truncate day_closings")


@pytest.mark.parametrize("command", [close, report_command, certificates])
def test_an_account_that_is_not_configured_is_refused_with_those_that_are(acuse: Acuse, command: Command) -> None:
    named = ("verify",) if command is certificates else ("--date", "2026-11-20")
    refused = acuse(command, *named, "--psp", "conekta")
    assert refused.exit_code == 2 and "conekta/default is not configured; known are stripe/default" in refused.stderr


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-05"])
def test_a_day_that_nobody_means_is_refused(acuse: Acuse, day: str) -> None:
    for command in (close, report_command):
        refused = acuse(command, "--psp", "stripe", "--date", day)
        assert refused.exit_code == 2 and "is not between 2000-01-01 and 2100-12-31" in refused.stderr


def test_who_has_no_name_is_named_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("os.getuid", lambda: 987_654)
    assert find_user() == "uid 987654"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--psp", "conekta", "--date", "2026-11-20"), "stripe/default"),
        (("--psp", "=x", "--date", "2026-11-20"), "no name of a PSP"),
        ((*DAY_OPTIONS, "--force", "--reason", " "), "--reason is one line"),
        ((*DAY_OPTIONS, "--force", "--reason", "a\x1b[2J"), "--reason is one line"),
        ((*DAY_OPTIONS, "--reason", "x"), "belong together"),
    ],
)
def test_what_cannot_be_closed_is_refused_in_one_line(acuse: Acuse, arguments: tuple[str, ...], says: str) -> None:
    refused = acuse(close, *arguments)
    assert refused.exit_code == 2
    assert says in refused.stderr and len(refused.stderr.splitlines()) == 1


def test_a_day_past_the_calendar_is_refused_with_what_to_do(books: Books) -> None:
    with pytest.raises(PastTheData, match="add CNBV's list"):
        close_day(
            books.unit_of_work, CloseRequest(DayKey("stp", "default", date(2040, 1, 2)), "ana", "1"), NEXT_MORNING
        )
