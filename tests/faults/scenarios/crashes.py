"""A process is killed at every step of a call, of a notification, of a run of reconciliation, of the closing of a day."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from uuid_utils.compat import uuid7

from bootstrap_ringing import ring_reconcile
from models.endpoints import NewEndpoint
from notifications.sealing import Sealer
from notifications.signing import new_secret
from sandbox.payment import Played
from tests.faults.books import CLOSE, DONE, RECONCILE, check_runs, close, expect_death, start_runs
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
POINTS = (*SUBMIT, *FETCH, *NOTIFY, *RECONCILE, *CLOSE)
FEW = ("submit.answered", "fetch.before_commit", "notify.answered", "reconcile.compared", "close.before_commit")
BETRAYING = (
    "submit.begun",
    "submit.answered",
    "submit.before_settle",
)  # there a call may have been made that nobody knows of

# A worker whose children died waits some seconds for what they may have said, and takes nothing in their place.
PSP_WORKERS = ("worker_psp", "worker_psp2")
CALLERS = ("conekta", "stripe")  # without an idempotency key, and with one
AFTER_LEASES = "30"  # seconds by which the clock of those who go on is ahead
DIED = "pid:{} exited with 'signal 9 (SIGKILL)'"
BOX = "crashes"
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
        armed = [
            *PSP_WORKERS[: 1 + (len(points) > len(FEW))],
            *(["worker_notify"] if any(point in points for point in NOTIFY) else []),
        ]
        for name in armed:
            _arm(house, name, points)
        house.start("sandbox", "worker", *armed)
        with Shop(house) as shop:
            played = start_runs(house, scene.seed, points)
            for psp, account, point in _places(points, SUBMIT):
                _kill_over_payment(shop, psp, account, point)
            _kill_over_fetches(shop, list(_places(points, FETCH)))
            _kill_over_notifications(shop, [point for point in NOTIFY if point in points])
            for point in played:
                expect_death(house, point)
            _go_on(scene, shop, armed, played)
            verdict = judge(house, faults=_describe(house, points), within=scene.patience)
            verdict.sent = blame_effects(house, verdict)
            _check_notifications(house, verdict)
            check_runs(house, verdict, played)
            if any(point in points for point in CLOSE):
                close(house, shop, verdict, points)
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


def _is_dead(house: House, point: str) -> bool:
    """Whether a process of a pool came to this point and lives no more. Its worker says some seconds later how it ended."""
    marker = house.marker(point)
    if not marker.exists():
        return False
    try:
        state = Path(f"/proc/{marker.read_text().split()[0]}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"


def _wait_for_death(house: House, point: str, ring: Callable[[], None]) -> None:
    def has_come() -> bool:
        ring()
        return _is_dead(house, point)

    wait_until(has_come, f"a worker dies at {point}", 30, every=0.3)
    house.note(f"died at {point}")


def _were_killed(house: House, points: Iterable[str]) -> bool:
    """Whether the workers have seen how their children ended at these points."""
    said = "".join(file.read_text(errors="replace") for file in house.folder.glob("worker*.log"))
    return all(DIED.format(house.marker(point).read_text().split()[0]) in said for point in points)


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
    """A new payment is told to its merchant."""
    if not points:
        return
    merchant, secret = uuid7(), new_secret()
    url = f"http://127.0.0.1:{shop.house.sandbox_port}/merchant/webhooks/{BOX}"
    sealed = Sealer(shop.house.environment["ACUSE_SECRET_KEYS"].split(",")).seal(secret)
    shop.change(lambda work, now: work.access.merchants.add(merchant, "crashes", now))
    shop.change(lambda work, now: work.endpoints.add(NewEndpoint(uuid7(), merchant, url, None, (), sealed, now)))
    shop.house.ask_sandbox("PUT", "notifications/secrets", {"name": BOX, "secrets": [secret]})
    for point in points:
        shop.ask("stripe", CASH, 12_000, whose=merchant)
        _wait_for_death(shop.house, point, partial(shop.ring_notify))


def _go_on(scene: Scene, shop: Shop, armed: Sequence[str], played: dict[str, list[Played]]) -> None:
    """Others take the places of the dead, and do what they left."""
    house = shop.house
    in_pools = [point for point in (*SUBMIT, *FETCH, *NOTIFY) if house.marker(point).exists()]
    wait_until(lambda: _were_killed(house, in_pools), "the workers have seen how their children ended", 20)
    for name in armed:
        house.kill(name)
    names = [PSP_WORKERS[0], *(name for name in armed if name not in PSP_WORKERS)]
    house.options |= dict.fromkeys(names, ("--shift", AFTER_LEASES))
    house.start(*names, *(["worker_reconcile"] if played else []))
    app = create_producer(shop.config.broker_url)
    for point in played:
        ring_reconcile(app, RECONCILE[point][0], "default", "continuous", None)
    deadline = time.monotonic() + scene.patience
    while (_count_unfinished(house) or house.query(DONE) != [(2 * len(played),)]) and time.monotonic() < deadline:
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
