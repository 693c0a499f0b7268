"""A process is killed at every step of a call, of a notification, of a run of reconciliation, of the closing of a day."""

import signal
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from functools import partial

from uuid_utils.compat import uuid7

from bootstrap_ringing import ring_reconcile
from models.closings import DayKey
from models.endpoints import NewEndpoint
from models.unit_of_work import UnitOfWork
from notifications.sealing import Sealer
from notifications.signing import new_secret
from sandbox.flows import play_flow
from sandbox.identity import Identity
from sandbox.payment import Played
from schedules.calendar.days import civil_day
from schedules.closing.service import CloseRequest, close_day
from schedules.closing.verifying import verify_chain
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge
from tests.faults.scene import Scene, scenario
from tests.faults.shop import CARD, CASH, Shop, blame_effects
from tests.faults.watching import wait_until
from workers.app import create_producer

SUBMIT = (
    "submit.claimed",
    "submit.before_begin",
    "submit.begun",
    "submit.answered",
    "submit.before_settle",
    "submit.settled",
)
FETCH = ("fetch.claimed", "fetch.answered", "fetch.before_commit", "fetch.stored")
NOTIFY = ("notify.before_commit", "notify.claimed", "notify.answered", "notify.settled")
# Each at a PSP of its own, so that nobody else is on the account's way.
RECONCILE = {
    "reconcile.begun": ("mercadopago", "oxxo.paid"),
    "reconcile.compared": ("openpay", "oxxo.paid"),
    "reconcile.advanced": ("bitso", "spei.paid"),
    "reconcile.before_finish": ("transak", "crypto.bought"),
    "reconcile.finished": ("stp", "spei.deposit"),
}
CLOSE = ("close.read", "close.before_commit", "close.closed")
POINTS = (*SUBMIT, *FETCH, *NOTIFY, *RECONCILE, *CLOSE)
FEW = ("submit.answered", "fetch.before_commit", "notify.answered", "reconcile.compared", "close.before_commit")
BETRAYING = (
    "submit.begun",
    "submit.answered",
    "submit.before_settle",
)  # where a call may have been made that nobody knows of

CALLERS = ("conekta", "stripe")  # without an idempotency key, and with one
PLANTED = 4  # payments that a run finds
AFTER_LEASES = "30"  # seconds by which the clock of those who go on is ahead
DIED = "pid:{} exited with 'signal 9 (SIGKILL)'"
BOX = "crashes"
WHY = "the day is a rehearsal"
RUN = "select id, status, attempts, counts from reconciliation_runs where psp = %s order by id"
DELIVERIES = """
select notification_id::text, status, (select count(*) from notification_attempts a
    where (a.notification_id, a.endpoint_id) = (d.notification_id, d.endpoint_id) and a.status between 200 and 299)
from notification_deliveries d
"""
PSP_ID = "select p.psp_payment_id from payments p join attempts a on a.payment_id = p.id where p.id = %s and a.status = 'done'"


@scenario(
    21,
    "processes are killed at every step of calls, notifications, reconciliation and closing",
    broken="unannounced_calls",
)
def crash_at_every_step(scene: Scene) -> Verdict:
    """First all are killed, each over work of its own; then healthy ones go on, with all leases over."""
    points = BETRAYING if scene.broken else POINTS if scene.is_whole else FEW
    with scene.house() as house:
        _open_accounts(house, points)
        notifies = any(point in points for point in NOTIFY)
        _arm(house, "worker_psp", points)
        _arm(house, "worker_notify", points)
        house.start("sandbox", "worker", "worker_psp", *(("worker_notify",) if notifies else ()))
        with Shop(house) as shop:
            for psp, account, point in _places(points, SUBMIT):
                _kill_over_payment(shop, psp, account, point)
            _kill_over_fetches(shop, list(_places(points, FETCH)))
            if notifies:
                _kill_over_notifications(shop, [point for point in NOTIFY if point in points])
            _go_on(scene, shop, notifies)
            played = _kill_over_runs(scene, shop, points)
            verdict = judge(house, faults=_describe(house, points), within=scene.patience)
            verdict.sent = blame_effects(house, verdict)
            _check_notifications(house, verdict)
            _check_runs(house, verdict, played)
            if any(point in points for point in CLOSE):
                _close(house, shop, verdict, points)
            return verdict


def _places(points: Sequence[str], kind: Sequence[str]) -> Iterable[tuple[str, str, str]]:
    """(psp, account, point): an account for each point, since what a dead process had keeps its account waiting."""
    for number, point in enumerate(one for one in kind if one in points):
        yield CALLERS[number % len(CALLERS)], point.replace(".", "").replace("_", ""), point


def _open_accounts(house: House, points: Sequence[str]) -> None:
    for psp, account, _ in (*_places(points, SUBMIT), *_places(points, FETCH)):
        prefix = f"ACUSE_{psp.upper()}_"
        own = {name: value for name, value in house.environment.items() if name.startswith(prefix) and "__" not in name}
        house.environment |= {f"{prefix}_{account.upper()}__{name.removeprefix(prefix)}": own[name] for name in own}


def _arm(house: House, name: str, points: Sequence[str]) -> None:
    kinds = NOTIFY if name == "worker_notify" else (*SUBMIT, *FETCH)
    own = [point for point in kinds if point in points]
    marker = house.folder / "marker" if len(own) > 1 else house.marker(own[0]) if own else None
    at = [part for point in own for part in ("--at", point)]
    house.options[name] = (*at, "--do", "kill", "--marker", str(marker)) if own else ()


def _died_at(house: House, point: str) -> bool:
    """Whether a process of a pool was killed there: it left its marker, and its worker saw how it ended."""
    marker = house.marker(point)
    if not marker.exists():
        return False
    said = DIED.format(marker.read_text().split()[0])
    return any(said in file.read_text(errors="replace") for file in house.folder.glob("worker*.log"))


def _wait_for_death(house: House, point: str, ring: partial[None]) -> None:
    def has_come() -> bool:
        ring()
        return _died_at(house, point)

    wait_until(has_come, f"a worker dies at {point}", 30, every=0.3)
    house.note(f"died at {point}")


def _kill_over_payment(shop: Shop, psp: str, account: str, point: str) -> None:
    shop.ask(psp, CARD, 25_000, account)
    _wait_for_death(shop.house, point, partial(shop.ring, (psp, account)))


def _kill_over_fetches(shop: Shop, places: Sequence[tuple[str, str, str]]) -> None:
    """Of payments that were made there before."""
    asked = [str(shop.ask(psp, CARD, 31_000, account)) for psp, account, _ in places]
    shop.ring(*(place[:2] for place in places))
    for payment, (psp, account, point) in zip(asked, places, strict=True):
        wait_until(lambda one=payment: shop.house.query(PSP_ID, one), "a payment is made", 30, every=0.1)
        shop.wish(psp, shop.house.query(PSP_ID, payment)[0], account)
        _wait_for_death(shop.house, point, partial(shop.ring, (psp, account)))


def _kill_over_notifications(shop: Shop, points: Sequence[str]) -> None:
    """A new payment is told to its merchant; one notification for each death, and one at the beginning."""
    merchant, secret = uuid7(), new_secret()
    url = f"http://127.0.0.1:{shop.house.sandbox_port}/merchant/webhooks/{BOX}"
    sealed = Sealer(shop.house.environment["ACUSE_SECRET_KEYS"].split(",")).seal(secret)
    shop.change(lambda work, now: work.access.merchants.add(merchant, "crashes", now))
    shop.change(lambda work, now: work.endpoints.add(NewEndpoint(uuid7(), merchant, url, None, (), sealed, now)))
    shop.house.ask_sandbox("PUT", "notifications/secrets", {"name": BOX, "secrets": [secret]})
    for point in points:
        shop.ask("stripe", CASH, 12_000, whose=merchant)
        _wait_for_death(shop.house, point, partial(shop.ring_notify))


def _go_on(scene: Scene, shop: Shop, notifies: bool) -> None:
    """Others take the places of the dead, and do what they left."""
    house, names = shop.house, ("worker_psp", *(("worker_notify",) if notifies else ()))
    for name in names:
        house.kill(name)
        house.options[name] = ("--shift", AFTER_LEASES)
    house.start(*names)
    deadline = time.monotonic() + scene.patience
    while _count_unfinished(house) and time.monotonic() < deadline:
        shop.ring(*shop.config.accounts)
        shop.ring_events()
        shop.ring_notify()
        time.sleep(0.4)


def _count_unfinished(house: House) -> int:
    return sum(
        house.query(f"select count(*) from {rows}")[0][0]
        for rows in (
            "attempts where settled_at is null",
            "inbox_events where processed_at is null",
            "notification_deliveries where settled_at is null",
        )
    )


def _kill_over_runs(scene: Scene, shop: Shop, points: Sequence[str]) -> dict[str, list[Played]]:
    """`acuse reconcile` dies over payments that no webhook has told of; then a worker reconciles. What was planted, by point."""
    house, now = shop.house, int(time.time())
    names = Identity(scene.seed, now)
    chosen = {point: RECONCILE[point] for point in RECONCILE if point in points}
    played = {
        point: [play_flow(flow, names, now - 3600, psp) for _ in range(PLANTED)]
        for point, (psp, flow) in chosen.items()
    }
    if not played:
        return played
    house.ask_sandbox("PUT", "payments", [asdict(one.payment) for lives in played.values() for one in lives])
    for point, (psp, _) in chosen.items():
        _start_armed(house, point, "reconcile", "--psp", psp, "--json")
    house.start("worker_reconcile", ready=False)
    for point in chosen:
        _expect_death(house, point)
    app = create_producer(shop.config.broker_url)
    for psp, _ in chosen.values():
        ring_reconcile(app, psp, "default", "continuous", None)
    deadline = time.monotonic() + scene.patience
    done = "select count(distinct psp) from reconciliation_runs where status = 'done' and attempts = 1"
    while house.query(done) != [(len(chosen),)] and time.monotonic() < deadline:
        time.sleep(0.2)
    return played


def _start_armed(house: House, point: str, *command: str) -> None:
    house.options[point] = ("--at", point, "--do", "kill group", "--marker", str(house.marker(point)))
    house.start_command(point, *command)


def _expect_death(house: House, point: str) -> None:
    code = house.wait_for_end(point, 60)
    assert code == -signal.SIGKILL, f"not killed at {point}: {house.log_end(point)}"
    assert house.marker(point).exists(), point


def _describe(house: House, points: Sequence[str]) -> str:
    came = [point for point in points if house.marker(point).exists() or point in CLOSE]
    assert len(came) == len(points), set(points) - set(came)
    return f"killed at {len(came)} steps: {', '.join(came)}"


def _check_notifications(house: House, verdict: Verdict) -> None:
    """Each was delivered under its one id, at least once there and once by our books."""
    rows = house.query(DELIVERIES)
    verdict.blame("I2", [f"notification {row[0]} is {row[1]}" for row in rows if row[1] != "delivered"])
    verdict.blame("I3", [f"notification {row[0]} settled {row[2]} times" for row in rows if row[2] != 1])
    told = [one for one in house.ask_sandbox("GET", "notifications") if one["name"] == BOX]
    verdict.blame("I1", {row[0] for row in rows} - {one["id"] for one in told})
    verdict.blame("I7", [one["id"] for one in told if not one["verified"] or one["id"] not in {row[0] for row in rows}])


def _check_runs(house: House, verdict: Verdict, played: dict[str, list[Played]]) -> None:
    """Who goes on with a run counts what it counted; whatever it died over, each payment is there once and stands right."""
    for point, lives in played.items():
        psp = RECONCILE[point][0]
        runs = house.query(RUN, psp)
        verdict.blame("I2", [f"run {row[0]} of {psp} is {row[1]}" for row in runs if row[1] != "done"])
        hands = 1 if point == "reconcile.finished" else 2
        _, _, attempts, counts = runs[0]
        if (attempts, counts.get("theirs")) != (hands, len(lives)):
            verdict.blame("I3", [f"{attempts} processes for {psp}, which counted {counts} of {len(lives)}"])
        ours = {i: rest for i, *rest in house.query(
            "select psp_payment_id, state, received_minor, refunded_minor from payments where psp = %s", psp)}  # fmt: skip
        wanted = {one.expected.psp_payment_id: one.expected for one in lives if one.expected}
        wrong = [
            f"{psp} {i} is {ours.get(i)}" for i, one in wanted.items()
            if ours.get(i) != [one.state, one.received_minor, one.refunded_minor]
        ]  # fmt: skip
        verdict.blame("I8", wrong)


def _close(house: House, shop: Shop, verdict: Verdict, points: Sequence[str]) -> None:
    """A day is closed once, whoever dies over it, behind the certificate of the day before."""
    psp, today = RECONCILE["reconcile.compared"][0], civil_day(datetime.now(UTC) - timedelta(hours=1))
    _close_before(shop, psp, today - timedelta(days=1))
    which = ("--psp", psp, "--date", today.isoformat())
    close = ("close", *which, "--force", "--reason", WHY, "--by", "tests", "--json")
    chosen = [point for point in CLOSE if point in points]
    for group in ([p for p in chosen if p != "close.closed"], [p for p in chosen if p == "close.closed"]):
        for point in group:
            _start_armed(house, point, *close)
        for point in group:
            _expect_death(house, point)
    house.start_command("closed again", *close)
    house.start_command("audit", "audit", "--json")
    said = [house.log_end(name) for name in ("closed again", "audit")]
    codes = [house.wait_for_end(name, 60) for name in ("closed again", "audit")]
    verdict.blame("close and audit", said if codes != [int("close.closed" in chosen), 0] else [])
    versions = house.query("select day::text, version from day_closings where psp = %s order by day", psp)
    wanted = [((today - timedelta(days=1)).isoformat(), 1), (today.isoformat(), 1)]
    verdict.blame("certificates", [f"{versions} and not {wanted}"] if versions != wanted else [])
    links = verify_chain(partial(UnitOfWork, shop.engine), psp, "default")
    verdict.blame("certificates", [link for link in links if not link.is_sound or link.change])


def _close_before(shop: Shop, psp: str, day: date) -> None:
    request = CloseRequest(DayKey(psp, "default", day), "tests", "tests", WHY)
    close_day(partial(UnitOfWork, shop.engine), request, datetime.now(UTC))
