"""Fresh signed deliveries: new payments, three events each, and among them what is about stored ones."""

import hashlib
import hmac
import random
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from bench.growth.history import AMOUNT, CHARGE, INTENT, REFUND, History, pad

RESENT_EVERY = 100  # one of so many was stored before, somewhere in the history
REFUND_EVERY = 50  # one of so many refunds a stored payment
WORDS = ("requires_action", "succeeded", "refunded")


def make_bodies(history: History, count: int, seed: str) -> Iterator[bytes]:
    """As a PSP sends them: three events of each new payment in the order of their time, repetitions, late refunds."""
    chance = random.Random(seed)
    now = int(time.time()) - 60
    for number in range(count):
        if number % RESENT_EVERY == RESENT_EVERY - 1:
            yield history.write_success(chance.randint(1, history.payments))
        elif number % REFUND_EVERY == REFUND_EVERY - 2:
            yield _write_late_refund(history, _pick_refundable(history, chance), now, f"{seed}{number}")
        else:
            yield _write_fresh(history, number, now, seed)


def write_requests(folder: Path, history: History, count: int, threads: int, secret: str) -> None:
    """One file of whole HTTP requests for each wrk thread, each request after a line with its length."""
    files = [(folder / f"requests-{thread}").open("wb") for thread in range(threads)]
    now = int(time.time())
    for number, body in enumerate(make_bodies(history, count, secrets.token_hex(4))):
        mac = hmac.new(secret.encode(), f"{now}.".encode() + body, hashlib.sha256).hexdigest()
        head = (
            f"POST /webhooks/stripe HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Stripe-Signature: t={now},v1={mac}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        request = head.encode() + body
        files[number % threads].write(f"{len(request)}\n".encode() + request)
    for file in files:
        file.close()


def _pick_refundable(history: History, chance: random.Random) -> int:
    while True:
        if history.is_refundable(payment := chance.randint(1, history.payments)):
            return payment


def _write_late_refund(history: History, payment: int, now: int, tail: str) -> bytes:
    intent, charge = history.psp_ids(payment)
    return pad(
        CHARGE % (_key(history, now, tail), now, charge, REFUND, intent, "false", "refunded"), history.body_bytes
    )


def _write_fresh(history: History, number: int, now: int, seed: str) -> bytes:
    payment, step = divmod(number, len(WORDS))
    clock = f"{now:08x}"
    tail = hashlib.sha256(f"{seed}{payment}".encode()).hexdigest()[:16]
    key, created, word = _key(history, now, f"{seed}{number}"), now + step, WORDS[step]
    if word == "refunded":
        told = (key, created, f"ch_{clock}{tail}", REFUND, f"pi_{clock}{tail}", "false", word)
        return pad(CHARGE % told, history.body_bytes)
    received = AMOUNT if word == "succeeded" else 0
    return pad(INTENT % (key, created, f"pi_{clock}{tail}", received, word, f"ORD-{tail}", word), history.body_bytes)


def _key(history: History, now: int, tail: str) -> str:
    digest = hashlib.sha256(tail.encode()).hexdigest()
    return f"evt_{digest[:24]}" if history.are_keys_scattered else f"evt_{now:08x}{digest[:16]}"
