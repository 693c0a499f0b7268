"""The sandbox as a merchant: it takes notifications, checks their signatures for itself, and misbehaves on request."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result
from standardwebhooks import Webhook
from werkzeug.serving import make_server

from commands.sandbox import sandbox
from notifications.signing import new_secret, sign
from sandbox.app import create_sandbox
from sandbox.keys import Keys, ensure_keys
from sandbox.merchant_inbox import MOST_KEPT
from sandbox.state import new_state
from tests.psps.conftest import SandboxServer

SECRET, OTHER = new_secret(), new_secret()
BODY = json.dumps(
    {"type": "payment.completed", "data": {"sequence": 2, "payment": {"id": "0195", "state": "completed"}}}
).encode()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def sandbox_server(keys: Keys) -> Iterator[SandboxServer]:
    state = new_state(keys, "http://127.0.0.1:9", seed=7)
    server = make_server("127.0.0.1", 0, create_sandbox(state), threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield SandboxServer(f"http://127.0.0.1:{server.port}", state)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client(sandbox_server: SandboxServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=sandbox_server.url, trust_env=False, timeout=10) as client:
        yield client
    sandbox_server.state.inbox.clear()


@pytest.fixture
def acuse(sandbox_server: SandboxServer) -> Any:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(sandbox, ["notifications", *arguments], env={"ACUSE_SANDBOX_URL": sandbox_server.url})

    return run


def notify(client: httpx.Client, secrets: tuple[str, ...] = (SECRET,), path: str = "", body: bytes = BODY) -> int:
    headers = dict(sign(secrets, "msg_1", datetime.now(UTC), body))
    return client.post(f"/merchant/webhooks{path}", content=body, headers=headers).status_code


def tell(client: httpx.Client, *secrets: str, name: str = "") -> None:
    told = client.put("/sandbox/notifications/secrets", json={"name": name, "secrets": secrets})
    assert told.status_code == 200


def list_all(client: httpx.Client, after: int = 0) -> list[dict[str, Any]]:
    return list(client.get("/sandbox/notifications", params={"after": after}).json())


def verified(client: httpx.Client) -> list[bool | None]:
    return [one["verified"] for one in list_all(client)]


def test_it_remembers_what_came(client: httpx.Client) -> None:
    before = time.time()
    assert notify(client) == 200
    [one] = list_all(client)
    assert (one["number"], one["name"], one["id"], one["type"]) == (1, "", "msg_1", "payment.completed")
    assert one["body"] == json.loads(BODY)
    assert before <= one["arrived_at"] <= time.time()
    assert abs(int(one["timestamp"]) - one["arrived_at"]) < 5
    assert one["answered"] == 200
    assert list_all(client, after=1) == []


def test_the_secret_may_be_told_before_or_after(client: httpx.Client) -> None:
    notify(client)
    assert verified(client) == [None]
    tell(client, SECRET)
    notify(client)
    assert verified(client) == [True, True]
    tell(client, OTHER)
    assert verified(client) == [False, False]


def test_during_a_rotation_either_secret_will_do(client: httpx.Client) -> None:
    tell(client, SECRET)
    assert notify(client, (OTHER, SECRET)) == 200
    assert notify(client, (OTHER,)) == 200
    tell(client, SECRET, OTHER)
    assert verified(client) == [True, True]
    tell(client, SECRET)
    assert verified(client) == [True, False]


def test_what_the_official_package_signs_is_right(client: httpx.Client) -> None:
    tell(client, SECRET)
    now = datetime.now(UTC)
    headers = {
        "webhook-id": "msg_2",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign("msg_2", now, BODY.decode()),
    }
    client.post("/merchant/webhooks", content=BODY, headers=headers)
    assert verified(client) == [True]


def good_headers(**changed: str) -> dict[str, str]:
    headers = dict(sign((SECRET,), "msg_1", datetime.now(UTC), BODY))
    return headers | {f"webhook-{name}": value for name, value in changed.items()}


def old_headers(minutes: int) -> dict[str, str]:
    return dict(sign((SECRET,), "msg_1", datetime.now(UTC) + timedelta(minutes=minutes), BODY))


@pytest.mark.parametrize(
    "make_headers",
    [
        dict,
        lambda: good_headers(id="msg_2"),
        lambda: good_headers(timestamp=str(int(time.time()) - 9)),
        lambda: good_headers(timestamp="now"),
        lambda: good_headers(timestamp="9" * 5000),
        lambda: good_headers(signature=""),
        lambda: good_headers(signature="v1,"),
        lambda: good_headers(signature="v1,&"),
        lambda: good_headers(signature="v1a," + base64.b64encode(bytes(32)).decode()),
        lambda: good_headers(signature="v1," + base64.b64encode(bytes(32)).decode()),
        lambda: good_headers(signature=good_headers()["webhook-signature"].removeprefix("v1,")),
        lambda: old_headers(-6),
        lambda: old_headers(6),
    ],
)
def test_what_is_not_signed_so_is_not_verified(
    client: httpx.Client, make_headers: Callable[[], dict[str, str]]
) -> None:
    tell(client, SECRET)
    assert client.post("/merchant/webhooks", content=BODY, headers=make_headers()).status_code == 200
    assert verified(client) == [False]


def test_one_changed_byte_is_seen(client: httpx.Client) -> None:
    tell(client, SECRET)
    client.post("/merchant/webhooks", content=BODY + b" ", headers=good_headers())
    assert verified(client) == [False]


def test_every_name_has_secrets_and_manners_of_its_own(client: httpx.Client) -> None:
    tell(client, SECRET, name="one")
    tell(client, OTHER, name="two")
    client.put("/sandbox/notifications/manners", json={"name": "two", "answer": 503, "times": 5})
    assert [notify(client, path=path) for path in ("/one", "/two", "")] == [200, 503, 200]
    assert [(one["name"], one["verified"]) for one in list_all(client)] == [("one", True), ("two", False), ("", None)]


def test_it_answers_as_it_is_told_and_then_well_again(client: httpx.Client) -> None:
    told = client.put("/sandbox/notifications/manners", json={"answer": 500, "times": 2})
    assert told.json() == {"": {"answer": 500, "times": 2, "seconds": 20.0}}
    assert [notify(client) for _ in range(3)] == [500, 500, 200]
    client.put("/sandbox/notifications/manners", json={"answer": 410})
    assert [notify(client) for _ in range(2)] == [410, 200]
    assert [one["answered"] for one in list_all(client)] == [500, 500, 200, 410, 200]
    assert client.get("/sandbox/notifications/manners").json() == {}


def test_it_hangs_as_long_as_it_is_told(client: httpx.Client) -> None:
    client.put("/sandbox/notifications/manners", json={"answer": "hang", "seconds": 0.3})
    began = time.monotonic()
    assert notify(client) == 504
    assert time.monotonic() - began >= 0.3


def test_to_clear_it_ends_what_hangs(sandbox_server: SandboxServer, client: httpx.Client) -> None:
    client.put("/sandbox/notifications/manners", json={"answer": "hang", "times": 9, "seconds": 60})
    answered: list[int] = []
    with httpx.Client(base_url=sandbox_server.url, trust_env=False, timeout=30) as other:
        thread = threading.Thread(target=lambda: answered.append(notify(other)))
        thread.start()
        while not list_all(client):
            time.sleep(0.01)
        client.delete("/sandbox/notifications")
        thread.join(5)
    assert answered == [504]
    assert (list_all(client), notify(client)) == ([], 200)


@pytest.mark.parametrize(
    ("place", "asked"),
    [
        ("secrets", {}),
        ("secrets", {"secrets": "whsec_"}),
        ("secrets", {"secrets": ["whsec_"]}),
        ("secrets", {"secrets": [SECRET.removeprefix("whsec_")]}),
        ("secrets", {"secrets": [7]}),
        ("manners", {}),
        ("manners", {"answer": "sulk"}),
        ("manners", {"answer": 100}),
        ("manners", {"answer": True}),
        ("manners", {"answer": 500, "times": 0}),
        ("manners", {"answer": 500, "times": 1.5}),
        ("manners", {"answer": "hang", "seconds": 0}),
        ("manners", {"answer": "hang", "seconds": "long"}),
    ],
)
def test_what_it_cannot_do_is_refused_in_words(client: httpx.Client, place: str, asked: dict[str, Any]) -> None:
    refused = client.put(f"/sandbox/notifications/{place}", json=asked)
    assert refused.status_code == 400
    assert refused.json()["error"]


@pytest.mark.parametrize("body", [b"", b"\xff", b"[1]", b"[" * 2000, b'{"type": 1e999}'])
def test_odd_bodies_are_kept_as_they_are(client: httpx.Client, body: bytes) -> None:
    assert client.post("/merchant/webhooks", content=body).status_code == 200
    [one] = list_all(client)
    assert (one["type"], one["verified"]) == (None, None)


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    assert client.post("/merchant/webhooks", content=bytes(300_000)).status_code == 413
    assert list_all(client) == []


def test_it_forgets_the_oldest(sandbox_server: SandboxServer, client: httpx.Client) -> None:
    for _ in range(MOST_KEPT + 3):
        sandbox_server.state.inbox.take("", {}, b"{}", time.time())
    numbers = [one["number"] for one in list_all(client)]
    assert numbers == list(range(4, MOST_KEPT + 4))


def test_the_command_shows_a_table(client: httpx.Client, acuse: Any) -> None:
    assert acuse().output == "no notifications yet\n"
    notify(client)
    assert "no secret" in acuse().output
    shown = acuse("--secret", SECRET).output.splitlines()
    assert shown[0].split() == ["arrived", "type", "payment", "sequence", "state", "verified", "answered", "id"]
    assert shown[1].split()[2:] == ["payment.completed", "0195", "2", "completed", "yes", "200", "msg_1"]
    assert json.loads(acuse("--json").stdout) == list_all(client)
    assert acuse("--name", "another").output == "no notifications yet\n"
    assert acuse("--clear").output == "no notifications yet\n"


def test_the_command_waits_for_a_type(client: httpx.Client, acuse: Any) -> None:
    late = threading.Timer(0.5, lambda: notify(client))
    late.start()
    waited = acuse("--until", "payment.completed", "--secret", SECRET)
    assert (waited.exit_code, " yes " in waited.output) == (0, True)
    late.join()
    gave_up = acuse("--until", "payment.refunded", "--wait", "0")
    assert gave_up.exit_code == 1
    assert gave_up.stderr == "acuse: no payment.refunded within 0 s\n"


def test_the_command_makes_it_misbehave(client: httpx.Client, acuse: Any) -> None:
    assert acuse("--answer", "410", "--times", "2").exit_code == 0
    assert [notify(client) for _ in range(3)] == [410, 410, 200]
    assert acuse("--answer", "never").exit_code == 2
    refused = acuse("--answer", "42")
    assert (refused.exit_code, refused.stderr) == (1, "acuse: answer must be a status of 200 to 599, or hang\n")
