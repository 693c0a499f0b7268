"""HTTP abuse over raw sockets against the receiver as it ships, while good senders go on."""

from tests.faults.abuse.good import stripe_sender
from tests.faults.abuse.run import run_abuse
from tests.faults.oracle import Verdict, judge, landed
from tests.faults.scene import Scene, scenario
from tests.ingress.senders import STRIPE_SECRET

WHOLE = (("idle", 10_000), ("stalled", 200), ("headers", 50))
FEW = (("idle", 300), ("stalled", 200))
LEAST = {"idle": 250, "stalled": 150}  # at the same time


@scenario(12, "HTTP abuse: the table of malformed requests, idle, stalled and flooding crowds", broken="no_giving_way")
def abuse_http(scene: Scene) -> Verdict:
    """Each malformed request has its answer or is cut off, and nothing of it is stored; good senders do not notice."""
    with scene.house("receiver", "worker", "beat", ACUSE_STRIPE_WEBHOOK_SECRETS=STRIPE_SECRET) as house:
        crowds = WHOLE if scene.is_whole else FEW
        report = run_abuse(house.port, stripe_sender(house.port), scene.seed, crowds)
        reached = ", ".join(f"{count} {kind}" for kind, count in report.reached.items())
        told = f"{len(report.outcomes)} cases; {reached}; p99 of good senders {report.p99_ms:.0f} ms"
        landed(scene.broken or all(report.reached[kind] >= least for kind, least in LEAST.items()), told)
        verdict = judge(house, faults=told, within=scene.patience)
        verdict.sent = report.good_sent
        verdict.blame("answers", [f"{name}: {outcome}" for name, outcome in report.wrong.items()])
        verdict.blame("good deliveries refused", report.good_failures)
        slow = report.p99_ms > report.allowed_p99_ms
        verdict.blame("I9", [f"p99 of good senders was {report.p99_ms:.0f} ms"] if slow else [])
        stored, genuine = house.count("true"), report.genuine + report.good_sent - len(report.good_failures)
        verdict.blame("I7", [f"{stored} stored, {genuine} genuine"] if stored > genuine else [])
        verdict.lost = verdict.blame("I1", [f"{stored} stored, {genuine} acknowledged"] if stored < genuine else [])
        return verdict
