"""Two beats, clocks that are wrong, and reconciliation beside itself."""

import threading
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from bootstrap_ringing import ring_reconcile
from config import load_config
from sandbox.faults import Faults
from sandbox.flows import play_mixture
from sandbox.identity import Identity
from sandbox.keys import ensure_keys
from sandbox.payment import Expected, Played
from sandbox.runs import run
from sandbox.sender import Route
from schedules.beat import SWEEP_SECONDS
from schedules.reconciling.windows import LOOK_BACK, OVERLAP
from tests.faults.flood import Flood, start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge
from tests.faults.scene import Scene, scenario
from tests.faults.watching import wait_until
from workers.app import create_producer

HOUR = 3600.0
BORDER = ZoneInfo("America/Tijuana")  # where clocks still change in Mexico
PSP = "conekta"
AT_ONCE = 2  # commands that reconcile one account
WINDOWS = "select extract(epoch from window_start)::float8 from schedule_windows where job = 'sweep' order by 1"
LATE_SWEEP = SWEEP_SECONDS * 3
# Nobody serves it here, so every sweep finds something to ring for, and says so.
PLANT = """
insert into inbox_events (psp, account, event_key, content_digest, received_at, next_attempt_at, source, status)
values ('stp', 'default', 'planted', sha256('planted'), now(), now(), 'fetch', 'hint')
"""
UPROOT = "delete from inbox_events where event_key = 'planted'"
# Nobody was killed, so nobody may have gone on with another's run, or have begun beside it.
TWICE = f"""
with runs as (select * from reconciliation_runs where psp = '{PSP}')
select 'run ' || id || ' had ' || attempts || ' processes' from runs where attempts > 1
union all
select 'runs ' || a.id || ' and ' || b.id || ' ran at once' from runs a join runs b on a.id < b.id
where a.started_at < b.finished_at and b.started_at < a.finished_at
union all
select 'run ' || b.id || ' looked at what run ' || a.id || ' had compared' from runs a join runs b on a.id < b.id
where b.window_start < a.reached_at - cast(%s as interval)
union all
select 'run ' || id || ' is ' || status || coalesce(': ' || error, '') from runs where status <> 'done'
"""
RUNS = f"select count(*), count(*) filter (where status <> 'running') from reconciliation_runs where psp = '{PSP}'"


@scenario(
    10, "two beats, one of them killed; clocks an hour off and on the day they change; reconciliation beside itself",
    broken=("no_hold", "every_beat_sweeps"),
)  # fmt: skip
def wrong_clocks(scene: Scene) -> Verdict:
    """Workers disagree about the time by months while events arrive, and one account is reconciled by many at once."""
    with scene.house() as house:
        house.options |= {"worker": _by(HOUR), "worker2": _by(_until_clocks_change()), "worker_reconcile": _by(HOUR)}
        others = () if scene.broken else ("worker2",)
        house.start("receiver", "sandbox", "worker", *others, "worker_reconcile", "beat", "beat2")
        house.query(PLANT)
        began = time.time()
        flood = start_flood(
            house, "flood", scene.events(600), scene.seed, "--delay", "6", "--shuffle", psps="stripe,stp"
        )
        played = _play_orders(scene, house)
        names = _reconcile_at_once(house)
        orders = threading.Thread(target=_send, args=(scene, house, played))
        orders.start()
        busy = _wait_for_ends(house, names)
        assert busy or scene.broken, "nobody was kept waiting"
        house.kill("beat")
        if not scene.broken:
            time.sleep(SWEEP_SECONDS / 2)
            house.start("beat", ready=False)
            assert house.stop("worker") == 0
            house.options["worker"] = _by(-HOUR)
            house.start("worker", ready=False)
        orders.join(60)
        flood.finish()
        house.query(UPROOT)
        clocks = ", ".join(shift for _, shift in (house.options[name] for name in ("worker", "worker2")))
        beats = f"{house.killed} of 2 beats killed, clocks {HOUR:.0f}, {clocks} s off"
        return _judge(scene, house, flood, played, f"{beats}, {busy} of {AT_ONCE + 1} runs kept waiting", began)


def _by(seconds: float) -> tuple[str, str]:
    return "--shift", str(round(seconds))


def _until_clocks_change() -> float:
    """Seconds until some moments before clocks go an hour forward or back."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    hours = (now + timedelta(hours=n) for n in range(366 * 24))
    before = next(
        at
        for at in hours
        if at.astimezone(BORDER).utcoffset() != (at + timedelta(hours=1)).astimezone(BORDER).utcoffset()
    )
    return (before + timedelta(hours=1) - datetime.now(UTC)).total_seconds() - 15.0


def _play_orders(scene: Scene, house: House) -> list[Played]:
    """Payments of an hour ago, which the PSP knows all of. What is younger is not compared."""
    now = int(time.time())
    played = play_mixture(scene.events(200), [PSP], Identity(scene.seed, now), now - int(HOUR))
    house.ask_sandbox("PUT", "payments", [asdict(one.payment) for one in played])
    return played


def _send(scene: Scene, house: House, played: list[Played]) -> None:
    route = Route(house.url, ensure_keys(house.folder / "sandbox"), 4, deadline=30)
    run(played, Faults(duplicates=0.2, shuffle=True, delay=8), scene.seed, route)


def _reconcile_at_once(house: House) -> list[str]:
    """Several processes, and a worker, begin to reconcile one account at once; the names of the processes."""
    house.to_psps.set("latency", seconds=0.4)
    names = [f"reconciles{number}" for number in range(AT_ONCE)]
    for name in names:
        house.options[name] = _by(HOUR)
        house.start_command(name, "reconcile", "--psp", PSP, "--json")
    wait_until(lambda: house.query(RUNS) != [(0, 0)], "a run has begun", 40)
    _ring(house)
    return names


def _ring(house: House) -> None:
    ring_reconcile(create_producer(load_config(house.environment).broker_url), PSP, "default", "continuous", None)


def _wait_for_ends(house: House, names: list[str]) -> int:
    """How many of them were kept waiting."""
    wait_until(lambda: any(house.running[name].poll() is not None for name in names), "one has ended", 60)
    house.to_psps.set("pass")
    codes = [house.wait_for_end(name, 60) for name in names]
    return codes.count(1) + (house.folder / "worker_reconcile.log").read_text().count("account_busy")


def _judge(scene: Scene, house: House, flood: Flood, played: list[Played], faults: str, began: float) -> Verdict:
    healed = _heal(scene, house)
    verdict = judge(house, flood, faults=f"{faults}; {healed} differences healed", within=scene.patience)
    verdict.doubled += verdict.blame("I3", (row[0] for row in house.query(TWICE, max(LOOK_BACK, OVERLAP))))
    _check_sweeps(house, verdict, began)
    _check_known(house, verdict, [one.expected for one in played if one.expected])
    return verdict


def _heal(scene: Scene, house: House) -> int:
    """One run more, with nobody beside it; how many differences were healed in all of them."""
    [(runs, _)] = house.query(RUNS)
    _ring(house)
    deadline = time.monotonic() + scene.patience
    while house.query(RUNS)[0][1] <= runs and time.monotonic() < deadline:
        time.sleep(0.1)
    return int(house.query("select count(*) from discrepancies where healing is not null")[0][0])


def _check_sweeps(house: House, verdict: Verdict, began: float) -> None:
    """Each window was swept once, and no beat's end kept the other from sweeping."""
    windows = [row[0] for row in house.query(WINDOWS)]
    length = SWEEP_SECONDS / 2
    verdict.blame("I3", [f"window {at} is none" for at in windows if at % length])
    swept = sum(file.read_text().count('"swept"') for file in house.folder.glob("worker*.log"))
    verdict.faults += f"; {len(windows)} windows for 2 beats"
    if swept > len(windows):
        verdict.blame("I3", [f"{swept} sweeps of {len(windows)} windows"])
    least = int((time.time() - began) / LATE_SWEEP)
    if len(windows) < least:
        verdict.blame("I2", [f"{len(windows)} windows and not {least} at least"])


def _check_known(house: House, verdict: Verdict, expected: list[Expected]) -> None:
    """I8: told first by a webhook or by reconciliation, every payment stands where its PSP says."""
    ours = {i: rest for i, *rest in house.query(
        "select psp_payment_id, state, received_minor, refunded_minor from payments where psp = %s", PSP)}  # fmt: skip
    wrong = []
    for life in expected:
        want = [life.state, life.received_minor, life.refunded_minor]
        if ours.get(life.psp_payment_id) != want:
            wrong.append(f"{life.psp_payment_id} is {ours.get(life.psp_payment_id)} and not {want}")
    verdict.blame("I8", wrong)
    verdict.sent += len(expected)
