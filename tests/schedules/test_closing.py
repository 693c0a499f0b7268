"""Closing a day: what is in the way, what the certificate says, and that nobody changes a closed day unseen."""

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from models.closings import ClosedMeanwhile, ClosingRepository, DayKey, DayLine
from schedules.closing.certificate import write_canonical
from schedules.closing.lines import tally_lines
from schedules.closing.service import Closed, CloseRequest, Refused, close_day
from schedules.closing.verifying import Link, verify_chain
from schedules.reporting.changes import tell_change
from schedules.reporting.csv_files import copy_lines
from schedules.reporting.documents import CHECK
from schedules.reporting.money import write_units
from schedules.reporting.pages import FOLDER
from tests.schedules.books import DAY, END, KEY, NEXT_MORNING, NOON, START, Books
from tests.schedules.full_day import add_crypto, add_settlement

LATER = NEXT_MORNING + timedelta(hours=1)
MERCHANT = "018f0000-0000-7000-8000-0000000000aa"
ODD_IDS = ("=cmd()", "'quoted", '"a,b"', "línea\ndos", "@x", "zz", "Zz", None)


@pytest.fixture(scope="module")
def house(make_database: Callable[[], str]) -> Iterator[Books]:
    engine = create_engine(make_database())
    yield Books(engine)
    engine.dispose()


@pytest.fixture
def books(house: Books) -> Books:
    house.empty()
    return house


@pytest.fixture
def ready(books: Books) -> Books:
    """A day of three payments that was compared."""
    for number in range(3):
        books.add_payment(f"pi_{number}")
    books.add_run()
    return books


def codes(done: Closed | Refused) -> list[str]:
    assert isinstance(done, Refused), done
    return [reason.code for reason in done.reasons]


def verify(books: Books) -> list[Link]:
    return verify_chain(books.unit_of_work, "stripe", "default")


def test_the_hash_of_the_lines_is_what_it_always_was() -> None:
    lines = [
        DayLine(
            None, "018f0000-0000-7000-8000-000000000001", "pending", "oxxo", "in", 15_000, 0, 0, None, None,
            False, MERCHANT, None, None, None, None,
        ),
        DayLine(
            'ñ"1', "018f0000-0000-7000-8000-000000000002", "completed", "crypto_onramp", "in", 5, 5, 1, 2, "MXN",
            True, MERCHANT, "2026-11-20", "usdc", "123456789012345678901234567890", 18,
        ),
    ]  # fmt: skip
    written = (
        f'[null,"018f0000-0000-7000-8000-000000000001","pending","oxxo","in",15000,0,0,null,null,false,"{MERCHANT}",null,'
        "null,null,null]\n"
        '["ñ\\"1","018f0000-0000-7000-8000-000000000002","completed","crypto_onramp","in",5,5,1,2,"MXN",true,'
        f'"{MERCHANT}","2026-11-20","usdc","123456789012345678901234567890",18]\n'
    )
    known = "4cdb3b49e312751aa1c0ce014982610dbc4446e7afdbaa72bdd769dfca54457d"
    assert hashlib.sha256(written.encode()).hexdigest() == known
    assert tally_lines(lines).lines_hash.hex() == known
    assert tally_lines([]).lines_hash == hashlib.sha256().digest()


def test_a_day_is_closed_with_its_counts_and_sums(ready: Books) -> None:
    ready.add_payment("pi_r", state="partially_refunded", refunded_minor=2_500, fee_minor=None)
    ready.add_payment("pi_d", state="disputed")
    ready.add_payment("pi_p", state="pending", received_minor=0, fee_minor=None, method="oxxo")
    ready.add_payment("po_1", direction="out", amount_minor=700, received_minor=700, fee_minor=5, method="spei")
    certificate = ready.close_ready().closing.certificate
    assert certificate["lines"] == 7
    [money] = certificate["money"]
    assert money == {
        "currency": "MXN", "received_minor": 50_000, "refunded_minor": 2_500, "taken_back_minor": 10_000,
        "paid_out_minor": 700, "fee_minor": 4 * 360 + 5, "net_minor": 50_000 - 2_500 - 10_000 - 700 - 1_445,
        "payments": 7, "fees_known": 5,
    }  # fmt: skip
    counted = {(row["state"], row["direction"]): row["count"] for row in certificate["by_state"]}
    assert counted == {
        ("completed", "in"): 3, ("completed", "out"): 1, ("partially_refunded", "in"): 1, ("disputed", "in"): 1,
        ("pending", "in"): 1,
    }  # fmt: skip
    assert sum(row["count"] for row in certificate["by_method"]) == 7
    assert (certificate["starts_at"], certificate["ends_at"]) == ("2026-11-20T06:00:00Z", "2026-11-21T06:00:00Z")
    assert certificate["run"]["counts"] == {"theirs": 1}
    assert (certificate["previous_hash"], certificate["forced_why"], certificate["reasons"]) == ("0" * 64, None, [])


def test_only_the_payments_of_this_account_and_day_are_in_it(ready: Books) -> None:
    ready.add_payment("pi_before", psp_created_at=START - timedelta(seconds=1))
    ready.add_payment("pi_first", psp_created_at=START)
    ready.add_payment("pi_last", psp_created_at=END - timedelta(seconds=1))
    ready.add_payment("pi_after", psp_created_at=END)
    ready.add_payment("pi_first", account="other")
    ready.add_payment("pi_seen_later", psp_created_at=None, created_at=END)
    with ready.unit_of_work() as work:
        lines = list(ClosingRepository(work.connection).stream_lines(KEY))
    assert [line.psp_payment_id for line in lines] == ["pi_0", "pi_1", "pi_2", "pi_first", "pi_last"]


def test_an_auditor_computes_both_hashes_from_the_files_with_python_alone(books: Books, tmp_path: Path) -> None:
    for psp_payment_id in ODD_IDS:
        books.add_payment(psp_payment_id, fee_minor=None if psp_payment_id is None else 12)
    books.add_payment(
        "zzz", method="crypto_onramp", livemode=False, crypto_asset="=usdc", crypto_network="base",
        crypto_base_units="9" * 40, crypto_scale=18, operating_day=DAY,
    )  # fmt: skip
    books.add_run()
    closing = books.close_ready().closing
    with books.unit_of_work() as work, (tmp_path / "lines.csv").open("w", encoding="utf-8", newline="") as file:
        lines = list(copy_lines(file, ClosingRepository(work.connection).stream_lines(KEY)))
    assert [line.psp_payment_id for line in lines] == sorted([*ODD_IDS, "zzz"], key=lambda id: (id or "").encode())
    (tmp_path / "certificate.json").write_text(json.dumps({"certificate": closing.certificate}), encoding="utf-8")
    check = [sys.executable, "-I", "-c", (FOLDER / CHECK).read_text(encoding="utf-8")]
    said = subprocess.run(check, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()
    assert said == [closing.lines_hash.hex(), closing.certificate_hash.hex()]


def test_the_canonical_certificate_is_what_the_standard_library_writes(ready: Books) -> None:
    ready.add_difference('pi_"ñ\u2028\x01')
    certificate = ready.close_ready(why="señas \U0001f600 \\ /").closing.certificate
    plainly = json.dumps(certificate, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert write_canonical(certificate) == plainly.encode()


def refuse_not_compared(books: Books) -> None:
    books.run("delete from reconciliation_runs")


def refuse_compared_too_early(books: Books) -> None:
    books.run("update reconciliation_runs set started_at = :at", at=END - timedelta(seconds=1))


def refuse_run_of_another_kind(books: Books) -> None:
    books.run("update reconciliation_runs set kind = 'continuous'")


def refuse_open_difference(books: Books) -> None:
    books.add_difference("pi_1")


def refuse_event_that_the_door_refused(books: Books) -> None:
    payment_id = books.add_payment("pi_door")
    books.add_door_difference(payment_id)


def refuse_unfinished_event(books: Books) -> None:
    books.add_event("received", received_at=START)


def refuse_unfetched_hint(books: Books) -> None:
    books.add_event("hint", received_at=END - timedelta(seconds=1))


def refuse_parked_event(books: Books) -> None:
    books.add_event("parked")


def refuse_conflict(books: Books) -> None:
    books.add_event("conflict")


def refuse_unsettled_call(books: Books) -> None:
    books.add_attempt(books.add_payment("pi_call"))


REASONS = {
    refuse_not_compared: "not_reconciled",
    refuse_compared_too_early: "not_reconciled",
    refuse_run_of_another_kind: "not_reconciled",
    refuse_open_difference: "open_differences",
    refuse_event_that_the_door_refused: "open_differences",
    refuse_unfinished_event: "events_received",
    refuse_unfetched_hint: "events_hint",
    refuse_parked_event: "events_parked",
    refuse_conflict: "events_conflict",
    refuse_unsettled_call: "attempts_unsettled",
}


@pytest.mark.parametrize("spoil", REASONS, ids=lambda spoil: spoil.__name__)
def test_each_thing_that_is_open_is_a_reason(ready: Books, spoil: object) -> None:
    assert callable(spoil)
    spoil(ready)
    refused = ready.close()
    assert codes(refused) == [REASONS[spoil]]
    assert ready.run("select count(*) from day_closings") == [(0,)]
    forced = ready.close_ready(why="the auditors wait")
    assert [reason["code"] for reason in forced.closing.certificate["reasons"]] == [REASONS[spoil]]
    assert forced.closing.forced_why == forced.closing.certificate["forced_why"] == "the auditors wait"


def test_a_payment_that_could_not_be_compared_is_a_reason(ready: Books) -> None:
    counts = {"theirs": 9, "ignored": 4, "unanswered": 1_200, "unreadable": 1, "left_for_the_day": 1}
    run = ready.add_run(counts=counts)
    refused = ready.close()
    assert codes(refused) == ["not_compared"] * 3
    assert isinstance(refused, Refused)
    again = f"run `acuse reconcile --psp stripe --date 2026-11-20` again (`acuse reconcile runs` shows run {run})"
    assert [reason.text for reason in refused.reasons] == [
        f"not all was compared: the PSP gave no answer about 1,200 payments: {again}",
        f"not all was compared: the PSP's answer about 1 payment could not be read: {again}",
        f"not all was compared: 1 payment or more had to be left for later: {again}",
    ]
    assert [reason.count for reason in refused.reasons] == [1_200, 1, 1]
    ready.add_run(counts={"theirs": 1_211, "ignored": 4, "unanswered": 0})
    assert ready.close_ready().closing.forced_why is None


def test_all_reasons_are_told_at_once(ready: Books) -> None:
    refuse_not_compared(ready)
    for number in range(7):
        ready.add_difference(f"pi_{number}")
    refuse_parked_event(ready)
    refused = ready.close(now=NOON)
    assert codes(refused) == ["not_over", "not_reconciled", "open_differences", "events_parked"]
    assert isinstance(refused, Refused)
    texts = [reason.text for reason in refused.reasons]
    assert texts[0] == "the day is not over: it ends at 2026-11-21 06:00 UTC"
    assert "`acuse reconcile --psp stripe --date 2026-11-20`" in texts[1]
    assert texts[2].startswith("7 differences are open: ") and texts[2].endswith(" and 2 more")


def test_what_is_of_another_day_or_account_is_not_in_the_way(ready: Books) -> None:
    ready.add_difference("pi_1", account_day=DAY - timedelta(days=1))
    ready.add_difference("pi_1", account="other")
    ready.add_difference("pi_2", closed_at=END, closed_reason="equal again")
    ready.add_event("parked", received_at=END + timedelta(hours=1))
    ready.add_event("parked", account="other")
    ready.add_event("processed")
    ready.add_door_difference(ready.add_payment("pi_late", psp_created_at=END))
    ready.add_attempt(ready.add_payment("pi_tomorrow", psp_created_at=END, created_at=NOON))
    assert ready.close_ready().closing.forced_why is None


def test_a_day_that_has_not_begun_is_not_closed_by_force_either(ready: Books) -> None:
    assert "not_begun" in codes(ready.close(why="impatience", now=START - timedelta(seconds=1)))


def test_a_forced_certificate_names_what_is_open(ready: Books) -> None:
    id = ready.add_difference("pi_1", healing="proposed")
    ready.add_difference("pi_2", "amount", healing="sent", healing_event_id=7, closed_at=END, closed_reason="healed")
    ready.add_difference("pi_2", "late", closed_at=END, closed_reason="dismissed")
    certificate = ready.close_ready(why="month end").closing.certificate
    [named] = certificate["open_differences"]
    assert (named["id"], named["kind"], named["psp_payment_id"]) == (id, "state", "pi_1")
    fates = {row["kind"]: (row["open"], row["healed"], row["dismissed"]) for row in certificate["differences"]}
    assert fates == {"state": (1, 0, 0), "amount": (0, 1, 0), "late": (0, 0, 1)}


def test_a_closed_day_that_has_not_changed_is_not_closed_again(ready: Books) -> None:
    first = ready.close_ready()
    again = ready.close(now=LATER)
    assert codes(again) == ["closed_already"]
    assert codes(ready.close(now=LATER, why="once more")) == ["closed_already"]
    assert isinstance(again, Refused) and again.closing is not None
    assert again.closing.certificate_hash == first.closing.certificate_hash
    assert "version 1), and nothing has changed" in again.reasons[0].text


def test_a_day_that_was_closed_by_force_is_closed_well_when_nothing_is_open_any_more(ready: Books) -> None:
    id = ready.add_difference("pi_1")
    ready.close_ready(why="month end")
    again = ready.close(now=LATER)
    assert codes(again) == ["closed_already", "open_differences"]
    assert isinstance(again, Refused) and "nothing has changed" not in again.reasons[0].text
    assert verify(ready)[0].change is None, "the certificate names it"
    ready.run("update discrepancies set closed_at = :at, closed_reason = 'equal again' where id = :id", at=LATER, id=id)
    second = ready.close_ready(now=LATER).closing
    assert (second.version, second.forced_why, second.certificate["change"]["what"]) == (2, None, ["differences"])
    assert codes(ready.close(now=LATER)) == ["closed_already"]


def test_a_payment_that_changes_later_shows_and_makes_the_next_version(ready: Books) -> None:
    first = ready.close_ready().closing
    ready.run(
        "update payments set refunded_minor = 100, state = 'partially_refunded', updated_at = :at "
        "where psp_payment_id = 'pi_1'", at=LATER,
    )  # fmt: skip
    ready.add_payment("pi_new", created_at=LATER, updated_at=LATER)
    ready.run(
        "update payments set operating_day = '2026-11-23', updated_at = :at where psp_payment_id = 'pi_2'", at=LATER
    )
    [link] = verify(ready)
    assert link.is_sound and link.change is not None
    changes = {row["psp_payment_id"]: row["change"] for row in link.change["payments"]}
    assert changes == {"pi_1": "updated", "pi_2": "left", "pi_new": "joined"}
    second = ready.close_ready(now=LATER).closing
    assert (second.version, second.previous_hash) == (2, first.certificate_hash)
    assert second.certificate["change"]["payments"] == link.change["payments"]
    assert second.certificate["change"]["lines_hash_before"] == first.lines_hash.hex()
    assert [(one.is_sound, one.is_newest, one.change) for one in verify(ready)] == [
        (True, False, None),
        (True, True, None),
    ]


def test_a_changed_day_is_not_closed_again_while_something_is_open(ready: Books) -> None:
    ready.close_ready()
    ready.add_payment("pi_new", created_at=LATER, updated_at=LATER)
    ready.add_difference("pi_new")
    assert codes(ready.close(now=LATER)) == ["open_differences"]


def test_a_difference_that_is_opened_after_the_closing_shows_and_is_in_the_way(ready: Books) -> None:
    ready.close_ready()
    id = ready.add_difference("pi_1")
    [link] = verify(ready)
    assert link.change is not None
    assert (link.change["what"], link.change["open_differences"]) == (["open_differences", "differences"], [id])
    assert tell_change(link.change) == [f"1 difference is open that version 1 does not name: {id}."]
    assert codes(ready.close(now=LATER)) == ["open_differences"]
    ready.run("update discrepancies set closed_at = :at, closed_reason = 'dismissed' where id = :id", at=LATER, id=id)
    second = ready.close_ready(now=LATER).closing
    assert (second.version, second.certificate["change"]["what"]) == (2, ["differences"])
    assert verify(ready)[1].change is None


def test_what_is_settled_after_the_closing_makes_the_next_version(ready: Books) -> None:
    payment_id = ready.add_payment("pi_s")
    ready.close_ready()
    file_id = ready.put(
        "settlement_files", psp="stripe", account="default", name="a", sha256=bytes(32), lines=1, imported_at=LATER
    )
    add_settlement(ready, file_id, 1, payment_id, 10_000)
    [link] = verify(ready)
    assert link.change is not None and link.change["what"] == ["settlement"]
    assert ready.close_ready(now=LATER).closing.version == 2


def test_crypto_is_summed_exactly_in_every_scale_and_is_in_the_lines(ready: Books) -> None:
    add_crypto(ready)
    certificate = ready.close_ready().closing.certificate
    assert certificate["crypto"] == [
        {"crypto_asset": "usdc", "direction": "in", "state": "completed", "count": 2, "told": 2,
         "crypto_base_units": "25500000000000000001", "crypto_scale": 18},
        {"crypto_asset": "usdc", "direction": "in", "state": "pending", "count": 1, "told": 0,
         "crypto_base_units": None, "crypto_scale": None},
    ]  # fmt: skip
    assert write_units("25500000000000000001", 18) == "25.500000000000000001"
    ready.run("update payments set crypto_base_units = 2 where crypto_scale = 18")
    [link] = verify(ready)
    assert link.change is not None and link.change["what"] == ["lines"]
    assert "which is not known" in tell_change(link.change)[0]


def test_a_day_is_not_closed_over_an_open_one_before_it(ready: Books) -> None:
    first, gap = DAY - timedelta(days=3), DAY - timedelta(days=1)
    ready.add_payment("pi_before_the_first", psp_created_at=NOON - timedelta(days=9))
    ready.add_run(day=first)
    ready.close_ready(key=DayKey("stripe", "default", first))
    assert ready.close_ready(why=None).closing.certificate["follows"] == {"day": first.isoformat(), "version": 1}
    ready.run("truncate day_closings")
    ready.close_ready(key=DayKey("stripe", "default", first))
    ready.add_payment("pi_gap", psp_created_at=NOON - timedelta(days=1))
    refused = ready.close()
    assert codes(refused) == ["day_before_open"]
    assert isinstance(refused, Refused) and gap.isoformat() in refused.reasons[0].text
    ready.close_ready(why="month end")
    ready.add_run(day=gap)
    assert codes(ready.close(key=DayKey("stripe", "default", gap))) == ["out_of_order"]
    ready.close_ready(key=DayKey("stripe", "default", gap), why="forgotten")
    assert ready.close_ready(now=LATER).closing.forced_why is None, "closed well now that nothing is open before it"


def test_what_stp_has_on_a_day_without_banks_does_not_hold_up_the_next(books: Books) -> None:
    friday, monday = date(2026, 11, 20), date(2026, 11, 23)
    for day in (friday, monday):
        books.add_run(psp="stp", day=day, started_at=NEXT_MORNING + timedelta(days=4))
    books.close_ready(key=DayKey("stp", "default", friday), now=NEXT_MORNING + timedelta(days=4))
    books.add_payment("never_sent", psp="stp", psp_created_at=NOON + timedelta(days=1))
    books.close_ready(key=DayKey("stp", "default", monday), now=NEXT_MORNING + timedelta(days=4))


def test_what_came_up_to_the_comparison_of_the_day_is_in_the_way(ready: Books) -> None:
    ready.run("update reconciliation_runs set started_at = :at, finished_at = :at", at=END + timedelta(hours=5))
    ready.add_event("parked", received_at=END + timedelta(hours=5))
    ready.close_ready()
    ready.run("truncate day_closings")
    ready.add_event("parked", received_at=END + timedelta(hours=5, seconds=-1))
    assert codes(ready.close()) == ["events_parked"]


def test_nobody_changes_or_deletes_a_certificate(ready: Books) -> None:
    ready.close_ready()
    for statement in ("update day_closings set closed_by = 'x'", "delete from day_closings"):
        with pytest.raises(DBAPIError, match="append-only"):
            ready.run(statement)


@pytest.fixture
def chained(ready: Books) -> Books:
    """Three closed days."""
    for back in (2, 1, 0):
        day = DAY - timedelta(days=back)
        if back:
            ready.add_payment(f"pi_old_{back}", psp_created_at=NOON - timedelta(days=back))
            ready.add_run(day=day)
        ready.close_ready(key=DayKey("stripe", "default", day))
    return ready


def test_a_chain_that_nobody_touched_is_sound(chained: Books) -> None:
    links = verify(chained)
    assert [link.day for link in links] == [DAY - timedelta(days=2), DAY - timedelta(days=1), DAY]
    assert all(link.is_sound and link.change is None for link in links)


TAMPERED = {
    "a certificate": (
        "update day_closings set certificate = jsonb_set(certificate, '{money,0,received_minor}', '1') where id = 2",
        {2: "the certificate is not the one that was hashed"},
    ),
    "a row beside its certificate": (
        "update day_closings set closed_by = 'nobody' where id = 2",
        {2: "its row says otherwise than the certificate: closed_by"},
    ),
    "a hash": (
        "update day_closings set certificate_hash = sha256('x') where id = 2",
        {
            2: "the certificate is not the one that was hashed",
            3: "it does not follow the certificate before it",
        },
    ),
    "a certificate that is gone": (
        "delete from day_closings where id = 2",
        {3: "it does not follow the certificate before it"},
    ),
    "the first one gone": (
        "delete from day_closings where id = 1",
        {2: "it does not follow the certificate before it"},
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_tampering_with_the_chain_is_found(chained: Books, what: str) -> None:
    statement, expected = TAMPERED[what]
    chained.tamper(statement)
    assert {link.id: "; ".join(link.problems) for link in verify(chained) if not link.is_sound} == expected


def test_a_payment_of_a_closed_day_that_was_changed_by_hand_is_found(chained: Books) -> None:
    chained.run("update payments set received_minor = 1 where psp_payment_id = 'pi_old_1'")
    links = verify(chained)
    assert [link.change is not None for link in links] == [False, True, False]
    assert links[1].change is not None and links[1].change["payments_total"] == 0, "its updated_at was not touched"


def test_of_two_who_close_at_once_one_is_refused(ready: Books) -> None:
    other = DayKey("stripe", "default", DAY - timedelta(days=1))
    ready.add_run(day=other.day)
    meanwhile: Iterator[Closed] = (ready.close_ready(key=key) for key in [other])

    def close_another(lines: int) -> None:
        next(meanwhile, None)

    with pytest.raises(ClosedMeanwhile):
        close_day(ready.unit_of_work, CloseRequest(KEY, "luis", "1.0"), NEXT_MORNING, close_another)
    assert ready.run("select day from day_closings") == [(other.day,)]
    assert ready.close_ready().closing.certificate["previous_hash"] == verify(ready)[0].certificate_hash


STP_DAY = date(2026, 11, 17)  # a Tuesday after the Revolution's holiday


def test_the_day_of_stp_is_its_operating_date(books: Books) -> None:
    key = DayKey("stp", "default", STP_DAY)
    books.add_payment("646:A:20261117", psp="stp", operating_day=STP_DAY, psp_created_at=NOON - timedelta(days=6))
    books.add_run(psp="stp", day=STP_DAY, started_at=NEXT_MORNING)
    closing = books.close_ready(key=key).closing
    assert closing.certificate["day_is"] == "operating_date"
    assert closing.certificate["starts_at"] == "2026-11-14T00:00:00Z", "18:00 on Friday in Mexico City"
    assert closing.certificate["ends_at"] == "2026-11-18T00:00:00Z"
    assert closing.lines == 1


def test_a_day_without_banks_is_closed_for_stp_by_force_alone(books: Books) -> None:
    key = DayKey("stp", "default", date(2026, 11, 16))
    books.add_run(psp="stp", day=key.day, started_at=NEXT_MORNING)
    assert codes(books.close(key=key)) == ["no_banking_day"]
    assert books.close_ready(key=key, why="an order that was never sent").closing.certificate["day_is"] == "civil_date"


def test_a_text_file_of_lines_is_safe_for_spreadsheets() -> None:
    file = io.StringIO()
    line = DayLine(
        "=1+1", "id", "completed", "card", "in", 123_456, 5, 0, None, "MXN", True, MERCHANT, None, "-usdc", "15", 1
    )
    list(copy_lines(file, [line, line._replace(psp_payment_id="-2", currency="JPY"), line._replace(currency=None)]))
    header, first, second, third = file.getvalue().split("\r\n")[:4]
    assert header.split(",")[:6] == ["psp_payment_id", "id", "state", "method", "direction", "amount"]
    assert first == f"'=1+1,id,completed,card,in,1234.56,0.05,0.00,,MXN,123456,5,0,,true,{MERCHANT},,'-usdc,15,1"
    assert second.startswith("'-2,id,completed,card,in,123456,5,0,,JPY,")
    assert third.startswith("'=1+1,id,completed,card,in,123456,5,0,,,")
