"""What is to keep others out: of the inbox, of another merchant's data, and of our own network."""

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import Encoding

from models.merchants import DEFAULT_MERCHANT_ID
from tests.faults.conditions import PUBLIC_ADDRESS
from tests.faults.flood import start_flood
from tests.faults.house import House
from tests.faults.oracle import Verdict, judge
from tests.faults.scene import Scene, scenario
from tests.faults.suites import join, run_suite
from tests.faults.watching import wait_until
from tests.notifications.networks import Canary, TlsLoopback, make_authority
from tests.psps.loopback import reply

# Whose answers need nothing else than the delivery, and whose signatures cover what the forger changes.
SIGNING = "stripe,conekta,stp,moonpay,transak"
SIGNATURES = ("tests/psps/test_signatures.py", "tests/psps/test_adyen.py", "tests/psps/test_dlocal.py")
UNSIGNED = "select psp || ' ' || event_key || ' ' || status from inbox_events where status in ('conflict', 'parked')"


@scenario(13, "forged deliveries among genuine ones, and every table of signatures", broken="no_verification")
def forged(scene: Scene) -> Verdict:
    """Nothing forged is acknowledged or stored; the genuine delivery of the same event, which follows it, is."""
    with scene.house("receiver", "worker", "beat") as house:
        flood = start_flood(
            house,
            "flood",
            scene.events(300 if scene.broken else 1000),
            scene.seed,
            "--tamper",
            "0.5",
            "--shuffle",
            psps=SIGNING,
        ).finish()
        forgeries = [attempt for attempt in flood.attempts if attempt["kind"] == "forged"]
        refused = sum(attempt["status"] == 401 for attempt in forgeries)
        assert forgeries, "nothing was forged"
        faults = f"{len(forgeries)} forged deliveries, {refused} of them answered 401"
        verdict = judge(house, flood, faults=faults, within=scene.patience)
        verdict.blame("I7", (row[0] for row in house.query(UNSIGNED)))
        keys = len({(attempt["psp"], attempt["event_key"]) for attempt in flood.attempts})
        if (stored := house.count("true")) != keys:
            verdict.blame("I7", [f"{stored} events are stored, and {keys} were sent"])
    return join(verdict, run_suite(scene, "signatures", SIGNATURES))


API = "tests/ingress/test_merchant_api.py::"
WALL = "tests/ingress/test_wall.py::"
ACCESS = "tests/models/test_access.py::"
PAYMENTS = "tests/models/test_merchant_payments.py::"
SEARCH = "tests/models/test_search.py::"
MERCHANTS = (
    f"{PAYMENTS}test_what_belongs_to_another_is_behind",
    "tests/ingress/test_isolation.py::test_every_route_is_in_the_matrix",
    f"{API}test_a_payment_is_read_by_its_merchant_alone",
    f"{API}test_what_is_not_expected_is_refused_and_makes_nothing",
    f"{API}test_a_body_that_cannot_be_read_in_one_way_is_refused",
    f"{API}test_without_a_valid_key_nothing_is_said",
    f"{API}test_a_key_may_do_what_its_scopes_say",
    f"{SEARCH}test_signs_that_are_patterns_elsewhere_stand_for_themselves",
    f"{SEARCH}test_no_needle_is_an_error_that_is_long_enough",
    f"{SEARCH}test_what_another_merchant_has_is_not_found_through_either_wall_alone",
    f"{ACCESS}test_two_keys_of_a_name_are_active_and_a_third_is_refused",
    f"{ACCESS}test_an_expired_key_gives_up_its_place",
    f"{ACCESS}test_the_minute_slides",
    f"{ACCESS}test_a_refused_try_counts_for_nobody",
    f"{WALL}test_every_table_that_the_role_may_touch_has_its_policy_and_no_other",
    f"{WALL}test_no_row_of_the_other_is_visible_without_a_condition",
)
MATRIX = "tests/ingress/test_isolation.py::test_nothing_of_the_other_is_ever_in_an_answer_or_changed[one-key]"
LOGINS = "tests/ingress/test_limits.py::test_of_many_log_ins_at_once_five_pass"


@scenario(19, "one merchant asks for everything of another, and for more than may be asked", broken="anyones_payment")
def merchants(scene: Scene) -> Verdict:
    """The matrix of every route with every id of the other, what may not be set, patterns, log-ins, keys."""
    if scene.broken:
        return run_suite(scene, "merchants", MERCHANTS[:3])
    return run_suite(scene, "merchants", (*MERCHANTS, *((MATRIX, LOGINS) if scene.is_whole else ())))


ADDRESSES = ("tests/notifications/test_address.py", "tests/notifications/test_wall.py")
# The canary's address, in the spellings that some reader takes for it.
SPELLINGS = (
    "127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1", "0.0.0.0", "localhost",
    "localhost.localdomain", "[::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::1]", "a@127.0.0.1",
)  # fmt: skip
ADD_ENDPOINT = """
insert into endpoints (id, merchant_id, url, event_types, secret_sealed, created_at, updated_at)
values (%s, %s, %s, '{}', %s, now(), now())
"""
TRIES = """
select count(*), count(distinct endpoint_id) filter (where error = 'refused_address'),
    count(*) filter (where status = 302)
from notification_attempts
"""


@scenario(20, "merchants' endpoints that lead to our own network", broken="any_address")
def inside(scene: Scene) -> Verdict:
    """A canary listens on this machine. Endpoints name it in many ways, one at a public address redirects to it, and it
    hears nothing: neither in the suites nor from a worker whose table of endpoints was written to by somebody else."""
    key = Fernet.generate_key().decode()
    settings = {"ACUSE_ALLOW_LOOPBACK_ENDPOINTS": "false", "ACUSE_SECRET_KEYS": key}
    with _listen(scene) as (canary, redirecting, road), scene.house("receiver", "worker", "beat", **settings) as house:
        house.start_with("worker_notify", f"--with=road={road}")
        _add_endpoints(house, key, canary.port)
        flood = start_flood(house, "flood", scene.events(60), scene.seed, psps="stripe", connections=2).finish()
        wait_until(lambda: canary.count() or _are_all_tried(house), "every endpoint was tried", 60)
        tries, refused, redirected = _tries(house)
        faults = f"{tries} notifications, {refused} endpoints refused by their address, {redirected} redirects"
        verdict = judge(
            house, flood, faults=f"{faults}, {len(redirecting.requests)} heard there", within=scene.patience
        )
        if heard := canary.count():
            verdict.blame("I11", [f"the canary heard {heard} connections"])
        elif not redirecting.requests:
            verdict.blame("I9", ["the one public endpoint heard nothing"])
    return verdict if scene.broken else join(verdict, run_suite(scene, "addresses", ADDRESSES))


def _tries(house: House) -> tuple[int, int, int]:
    tries, refused, redirected = house.query(TRIES)[0]
    return tries, refused, redirected


def _are_all_tried(house: House) -> bool:
    _, refused, redirected = _tries(house)
    return refused >= len(SPELLINGS) and redirected > 0


@contextmanager
def _listen(scene: Scene) -> Iterator[tuple[Canary, TlsLoopback, str]]:
    """The canary, the server behind the one public address, and the condition by which a worker finds them."""
    scene.folder.mkdir(parents=True, exist_ok=True)
    authority = make_authority()
    file = scene.folder / "authority.pem"
    file.write_bytes(authority.certificate.public_bytes(Encoding.PEM))
    context: ssl.SSLContext = authority.serve(scene.folder, PUBLIC_ADDRESS)
    canary = Canary()
    redirecting = TlsLoopback(context, reply(302, Location=f"https://127.0.0.1:{canary.port}/"))
    try:
        yield canary, redirecting, f"{redirecting.port},{canary.port},{file}"
    finally:
        redirecting.stop()
        canary.stop()


def _add_endpoints(house: House, key: str, port: int) -> None:
    """Straight into the table, past everything that looks at an address when it is registered."""
    sealed = Fernet(key.encode()).encrypt(b"whsec_" + b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
    for host in (*SPELLINGS, PUBLIC_ADDRESS):
        url = f"https://{host}/" if host == PUBLIC_ADDRESS else f"https://{host}:{port}/"
        house.query(ADD_ENDPOINT, str(uuid4()), str(DEFAULT_MERCHANT_ID), url, sealed)
