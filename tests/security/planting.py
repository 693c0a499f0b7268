"""Plants distinct canaries wherever a secret, card data or a person's data can come in, and has everything fail meanwhile."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import pyotp
from redis import Redis

from sandbox.flows import SIMULATORS
from sandbox.identity import complete_clabe
from sandbox.keys import Keys
from tests.psps.simulated import sign, tell_all
from tests.security.canaries import Canary, Written
from tests.system.stack import ROOT, RunningStack

JSON = {"Content-Type": "application/json"}
OVER = "the canaries have sung"
ECHOING = ("openpay", "mercadopago", "bitso", "transak")
PUBLIC = {"transak api_key", "public_key_pem", "client_public_key_pem", "public_key_der", "key_id", "publishable_key"}
NAMES = {"user", "company", "merchant_id"}  # stand in addresses and bodies, and open nothing by themselves
PAYER = {"name": "Zenaida Canario Quetzal", "email": "zenaida.canario@example.com", "phone": "5512349876"}
PAYER_CLABE = complete_clabe("02118098765432109")
# Numbers of nobody's card, one for each way in; test numbers have the same form.
CARDS = {
    "stripe": "4539578763621486", "conekta": "5425233430109903", "stp": "4716258050958645", "mercadopago": "5555341244441115",
    "openpay": "4024007134564847", "moonpay": "371449635398431", "transak": "6011000990139424", "bitso": "4556737586899855",
    "api": "5105105105105100", "broken": "4485275742308327",
}  # fmt: skip


@dataclass
class Planted:
    """A stack to which everything has happened, what must not be found in it, and what came out of it on the way."""

    stack: RunningStack
    keys: Keys
    canaries: list[Canary] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    statuses: dict[str, list[int]] = field(default_factory=dict)
    echoed: list[bytes] = field(default_factory=list)

    def plant(self, kind: str, value: str) -> str:
        self.canaries.append(Canary(kind, value))
        return value

    def keep(self, place: str, data: bytes) -> None:
        self.written.append(Written(place, data))

    def ask(self, method: str, path: str, token: str = "", **sent: Any) -> httpx.Response:
        """One request; its answer is kept as something that was written."""
        headers = {"Cookie": f"session={self.first('cookie')}", **sent.pop("headers", {})}
        headers |= {"Authorization": f"Bearer {token}"} if token else {}
        url = self.stack.status()["environment"]["ACUSE_RECEIVER_URL"] + path
        answer = httpx.request(method, url, headers=headers, timeout=15, trust_env=False, **sent)
        place = f"{method} {path.partition('?')[0]}"
        self.statuses.setdefault(place, []).append(answer.status_code)
        self.keep(f"http:{answer.status_code} {place}", str(answer.headers).encode() + b"\n" + answer.content)
        return answer

    def first(self, kind: str) -> str:
        return next(canary.value for canary in self.canaries if canary.kind == kind)

    @property
    def merchant(self) -> str:
        """Where the sandbox's merchant is notified."""
        return str(self.stack.status()["environment"]["ACUSE_SANDBOX_URL"]) + "/merchant/webhooks"

    @property
    def key(self) -> str:
        return self.first("the stack's own merchant key")

    def run(self, *arguments: str, said: str = "") -> str:
        """One command; what it says is kept, whether it fails or not."""
        argv = [sys.executable, "-m", "cli", *arguments, "--data-dir", str(self.stack.folder)]
        done = subprocess.run(argv, cwd=ROOT, input=said, capture_output=True, text=True, timeout=120, check=False)
        self.keep(f"said:{' '.join(arguments[:2])}", (done.stdout + done.stderr).encode())
        return done.stdout


def plant_settings(planted: Planted) -> None:
    """What the stack was started with."""
    for psp, own in planted.keys.items():
        for name, value in own.items():
            if not {name, f"{psp} {name}"} & (PUBLIC | NAMES):
                secret = value.splitlines()[len(value.splitlines()) // 2] if "PRIVATE KEY" in value else value
                planted.plant("secret of a PSP", secret)
    environment = planted.stack.status()["environment"]
    for name in ("ACUSE_DATABASE_URL", "ACUSE_REDIS_URL"):
        planted.plant("password of an engine", urlsplit(environment[name]).password or "")
    planted.plant("key that seals", environment["ACUSE_SECRET_KEYS"])
    planted.plant("the stack's own merchant key", environment["ACUSE_MERCHANT_KEY"])
    planted.plant("cookie", "cookieCanary7Hq2vXw9")
    planted.plant("authorization", "authorizationCanary4Zk8pLm1")
    for value in (*PAYER.values(), PAYER_CLABE):
        planted.plant("payer", value)
    for card in CARDS.values():
        planted.plant("card number", card)
    planted.plant("card's secret", "cvvCanary9Tq")


@contextmanager
def monitored(planted: Planted) -> Iterator[None]:
    """Keep every command that Redis is given meanwhile."""
    redis = Redis.from_url(planted.stack.status()["environment"]["ACUSE_REDIS_URL"])
    lines: list[bytes] = []

    def listen() -> None:
        with redis.monitor() as monitor:
            while (said := monitor.next_command()["command"]) != f"ECHO {OVER}":
                lines.append(said.encode())

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    yield
    redis.echo(OVER)
    thread.join(10)
    redis.close()
    planted.keep("redis:everything that it was told", b"\n".join(lines))


def use_the_api(planted: Planted) -> None:
    """Users, passwords, sessions, keys, second factors and endpoints, also with mistakes."""
    password = planted.plant("password", "three canaries sing at 4")
    newer = planted.plant("password", "five canaries sing at 6")
    wrong = planted.plant("password", "a canary that is wrong 8")
    email = "operator@example.com"
    planted.run("users", "create", email, "--merchant", "default", "--password-stdin", said=password + "\n")
    planted.ask("POST", "/v1/login", json={"email": email, "password": wrong})
    planted.ask("POST", "/v1/login", content=f'{{"email": "{email}", "password": "{wrong}"', headers=JSON)
    planted.ask("POST", "/v1/login", json={"email": email, "password": password, "pin": wrong})
    opened = planted.ask("POST", "/v1/login", json={"email": email, "password": password}).json()
    token = planted.plant("session token", opened["access_token"])
    begun = planted.ask("POST", "/v1/me/totp", token, json={"password": password}).json()
    planted.plant("second factor", begun["secret"])
    planted.ask("POST", "/v1/me/totp/confirm", token, json={"totp": pyotp.TOTP(begun["secret"]).now()})
    planted.ask("POST", "/v1/password", token, json={"password": password, "new_password": newer})
    wanted, once = {"name": "till", "scopes": ["read"]}, {"Idempotency-Key": "key-1"}
    planted.plant("merchant key", planted.ask("POST", "/v1/keys", token, json=wanted, headers=once).json()["key"])
    reset = planted.plant("reset token", planted.run("users", "reset", email).split()[-1])
    for token in (reset, reset + "x"):
        planted.ask("POST", "/v1/password-reset", json={"token": token, "new_password": newer + "!"})
    printed = json.loads(planted.run("keys", "create", "--name", "shop", "--rate", "100000", "--json"))
    key = planted.plant("merchant key", printed["key"])
    planted.ask("GET", "/v1/payments", planted.plant("merchant key", key[:-4] + "0000"))
    planted.ask("GET", f"/v1/nothing?api_key={key}", key)
    for name in ("first", "second"):
        use_an_endpoint(planted, key, name)


def use_an_endpoint(planted: Planted, key: str, name: str) -> None:
    wanted, once = {"url": planted.merchant, "description": name}, {"Idempotency-Key": f"endpoint-{name}"}
    for _ in range(2):
        made = planted.ask("POST", "/v1/endpoints", key, json=wanted, headers=once).json()
    planted.plant("endpoint's secret", made["secret"])
    turned = planted.ask("POST", f"/v1/endpoints/{made['id']}/rotate-secret", key, json={}).json()
    planted.plant("endpoint's secret", turned["secret"])
    planted.ask("POST", f"/v1/endpoints/{made['id']}/test", key)
    planted.ask("GET", "/v1/endpoints", key)


def send_webhooks(planted: Planted) -> None:
    """Every PSP's delivery with card data and a payer in it: genuine, forged, and signed nonsense."""
    for psp in planted.keys:
        deliver(planted, psp, make_body(psp))
        deliver(planted, psp, make_body(psp), is_forged=True)
    for psp in ("stripe", "conekta", "stp", "moonpay"):
        deliver(planted, psp, make_body(psp, card=CARDS["broken"])[:-1])


def make_body(psp: str, card: str = "", seed: int = 9) -> bytes:
    """The last step of a life cycle, as its PSP tells it, with more in it than it should have."""
    card = card or CARDS[psp]
    told = json.loads(tell_all(psp, next(iter(SIMULATORS[psp].flows)), start=int(time.time()) - 60, seed=seed)[-1].body)
    spaced = " ".join(card[place : place + 4] for place in range(0, len(card), 4))
    more = {"card_number": card, "cvv": "cvvCanary9Tq", "note": f"card {spaced} of {PAYER['name']}", "payer": PAYER}
    told = {**more, **told}
    if psp == "stp":
        told |= {"cuentaOrdenante": card, "nombreOrdenante": PAYER["name"], "conceptoPago": PAYER_CLABE}
    return json.dumps(told, separators=(",", ":")).encode()


def deliver(planted: Planted, psp: str, body: bytes, is_forged: bool = False) -> None:
    signed = sign(psp, body, planted.keys, int(time.time()))
    secret = planted.first("authorization")
    headers, body = SIMULATORS[psp].sign(signed.body, planted.keys[psp], int(time.time())), signed.body
    if is_forged:
        headers, body = SIMULATORS[psp].spoil(headers, body)
    headers = {"Authorization": f"Bearer {secret}", "Proxy-Authorization": secret, **headers}
    query = f"?{signed.query_text}" if signed.query_text else ""
    planted.ask("POST", f"/webhooks/{psp}{query}", headers=headers, content=body)


def call_psps(planted: Planted) -> None:
    """PSPs that say their caller's credentials back in their errors; a caller that sends card numbers."""
    payer = PAYER | {"reference": "C-9"}
    methods = {"openpay": "spei", "mercadopago": "oxxo", "bitso": "spei", "transak": "crypto_onramp", "conekta": "oxxo"}
    crypto = {"crypto": {"asset": "usdc", "network": "polygon", "wallet_address": "0x" + "a" * 40}}
    for psp, method in methods.items():
        wanted = {"method": method, "psp": psp, "amount_minor": 50_000, "payer": payer, "reference": f"canary-{psp}"}
        wanted |= crypto if method == "crypto_onramp" else {}
        made = planted.ask("POST", "/v1/payments", planted.key, json=wanted, headers={"Idempotency-Key": f"pay-{psp}"})
        assert made.status_code == 202, made.text
        planted.ask("GET", f"/v1/payments/{made.json()['id']}/timeline", planted.key)
    bad = {"method": "card", "psp": "stripe", "amount_minor": 50_000, "payer": payer}
    for member in ("card_token", "description", "reference"):
        planted.ask("POST", "/v1/payments", planted.key, json=bad | {member: CARDS["api"]})
    planted.ask("POST", "/v1/payments", planted.key, json=bad, headers={"Idempotency-Key": CARDS["api"]})
    planted.ask("GET", f"/v1/payments?search={CARDS['api']}", planted.key)
    for psp in ECHOING:
        planted.run("reconcile", "--psp", psp)
