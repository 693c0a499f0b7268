"""What went wrong at others and is not shown elsewhere: comparing in the open, keys named by the sender, test events on live accounts."""

import ast
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from psps.base import InvalidSignature
from psps.registry import PSPS
from sandbox.flows import SIMULATORS
from sandbox.keys import Keys, ensure_keys
from tests.paper import write_delivery
from tests.psps.simulated import Delivery, all_bodies, read_secrets, sign
from tests.workers.desk import Desk, Rules

ROOT = Path(__file__).resolve().parents[2]
VERIFIERS = sorted([*ROOT.glob("psps/*/signature.py"), ROOT / "psps/timed_hmac.py", ROOT / "psps/basic_auth.py"])
SECRET_NAMES = re.compile(r"signature|digest|expected|\bmac\b|password|secret|login|\bsent\b")
PAID = {"kind": "completed", "amount_minor": 1000, "received_minor": 1000, "currency": "MXN"}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def heard() -> Iterator[tuple[str, list[object]]]:
    """The address of a listener, and who has called it."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def listen() -> None:
            while True:
                try:
                    connection, who = server.accept()
                except OSError:
                    return
                calls.append(who)
                connection.close()

        threading.Thread(target=listen, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/key.pem", calls
        server.shutdown(socket.SHUT_RDWR)


def find_open_comparisons(source: str) -> list[str]:
    """Comparisons with == or `in` of what must be compared in constant time."""
    compared = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Compare)]
    written = [
        ast.unparse(node) for node in compared if isinstance(node.ops[0], ast.Eq | ast.NotEq | ast.In | ast.NotIn)
    ]
    return [text for text in written if SECRET_NAMES.search(text)]


@pytest.mark.parametrize("file", VERIFIERS, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_verifier_compares_what_was_signed_in_the_open(file: Path) -> None:
    assert find_open_comparisons(file.read_text(encoding="utf-8")) == []


def test_a_comparison_in_the_open_would_be_found() -> None:
    assert find_open_comparisons("if hmac.digest(key, body, 'sha256').hex() == value: pass")
    assert find_open_comparisons("def f(expected): return header in expected")
    assert not find_open_comparisons("if key == 't': pass")


@pytest.mark.parametrize("psp", SIMULATORS)
def test_no_key_is_taken_or_fetched_from_where_the_sender_says(
    psp: str, keys: Keys, heard: tuple[str, list[object]]
) -> None:
    """As the certificate's address in the headers of others: a forged delivery that names its key is refused, and nobody is
    asked for that key."""
    address, calls = heard
    now = int(time.time())
    body, secrets = all_bodies(psp)[0], read_secrets(psp, keys)
    named = {
        "paypal-cert-url": address,
        "signingcerturl": address,
        "x-key-url": address,
        "jku": address,
        "x5u": address,
        "paypal-auth-algo": "none",
    }
    genuine = sign(psp, body, keys, now)
    assert genuine.verify(secrets, now)
    headers, spoiled = SIMULATORS[psp].spoil(SIMULATORS[psp].sign(genuine.body, keys[psp], now), genuine.body)
    headers = {name.lower(): value for name, value in headers.items()}
    for more in (named, named | ({"x-bitso-key-id": address} if psp == "bitso" else {})):
        forged = Delivery(PSPS[psp], {**headers, **more}, genuine.query, spoiled, genuine.query_text)
        with pytest.raises(InvalidSignature):
            forged.verify(secrets, now)
    with socket.create_connection(tuple(address[7:-8].split(":")), timeout=5):  # type: ignore[arg-type]
        pass
    deadline = time.monotonic() + 5
    while not calls and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(calls) == 1, "the listener hears whoever calls, and that was this test alone"


@pytest.mark.parametrize(("is_live", "says_live"), [(False, True), (True, False)])
def test_an_event_of_the_other_mode_moves_nothing(engine: Engine, is_live: bool, says_live: bool) -> None:
    desk = Desk(engine)
    desk.deps.accounts["paper", "default"] = Rules(livemode=is_live)  # type: ignore[index]
    desk.receive(write_delivery(payment="p1", livemode=says_live, **PAID))
    assert desk.statuses() == [("parked", "livemode_mismatch")]
    assert desk.rows("select count(*) from payments") == [(0,)]
    desk.receive(write_delivery(payment="p2", livemode=is_live, **PAID))
    assert desk.payment("p2")[0] == "completed"
