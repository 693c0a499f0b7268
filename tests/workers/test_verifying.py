"""Stored deliveries of every PSP, verified again long after they came."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from ingress.framing import Arrival
from models.inbox import InboxStore
from models.replays import StoredEvent
from models.states import Source, Verification
from models.unit_of_work import UnitOfWork
from psps.registry import PSPS
from sandbox.keys import Keys, ensure_keys
from tests.psps.genuine import make_genuine
from tests.psps.simulated import NOW, at
from workers.verifying import verify_again

LATER = at(NOW) + timedelta(days=200)
LOGINS = {"stp", "openpay"}  # their login is never stored


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return ensure_keys(tmp_path_factory.mktemp("keys"))


def store(engine: Engine, psp: str, keys: Keys) -> tuple[StoredEvent, tuple[str, ...]]:
    """A genuine delivery through the door and the inbox, as it is loaded again; and the secrets of its account."""
    signed = make_genuine(psp, keys)
    assert signed.door
    arrival = Arrival(signed.headers, signed.body, query=signed.query)
    [stored] = InboxStore(engine).put([signed.door.admit(arrival, at(NOW))])
    with UnitOfWork(engine) as work:
        [loaded] = work.replays.load([stored.event_id])
    return loaded, signed.secrets


class Secrets:
    def __init__(self, *secrets: str) -> None:
        self.secrets = secrets


def judge(stored: StoredEvent, *secrets: str) -> Verification:
    accounts = {(stored.event.psp, "default"): Secrets(*secrets)}
    return verify_again(PSPS, accounts, LATER, stored)


@pytest.mark.parametrize("psp", PSPS)
def test_a_genuine_delivery_is_known_again_and_another_key_does_not_fit_it(
    engine: Engine, keys: Keys, psp: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stored, secrets = store(engine, psp, keys)
    assert judge(stored, *secrets) == (Verification.RECORDED if psp in LOGINS else Verification.FITS)
    others = make_genuine(psp, ensure_keys(tmp_path_factory.mktemp("others"))).secrets
    strangers = ("another:password",) if psp in LOGINS else others
    assert judge(stored, *strangers) is Verification.ROTATED
    assert judge(stored) is Verification.ROTATED
    assert verify_again(PSPS, {}, LATER, stored) is Verification.ROTATED
    forged = replace(stored, event=replace(stored.event, body=stored.event.body + b" "))
    assert judge(forged, *secrets) is Verification.ALTERED


def test_a_body_without_its_card_data_is_known_by_the_label_of_its_key(engine: Engine, keys: Keys) -> None:
    stored, secrets = store(engine, "stripe", keys)
    redacted = replace(stored, redacted=True, event=replace(stored.event, body=b"{}"))
    assert judge(redacted, *secrets) is Verification.RECORDED
    assert judge(redacted, "whsec_anotherKeyOfSomebodyElse0123456789") is Verification.ROTATED


def test_nobody_signs_an_answer_to_a_call_of_ours(engine: Engine, keys: Keys) -> None:
    stored, _ = store(engine, "stripe", keys)
    assert judge(replace(stored, event=replace(stored.event, source=Source.FETCH))) is Verification.OURS
