"""What PSPs and Banxico answered is sealed as payloads are, and reports tell the same of it."""

import hashlib
from datetime import timedelta

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bootstrap_starting import check_start
from config import load_config
from models.cep_answers import KnownAnswer
from models.differences import NewEvidence
from models.schema import NotReady
from models.states import EvidenceKind
from models.unit_of_work import UnitOfWork
from tests.ingress.senders import environment
from tests.models.test_schema import step_down
from tests.paper import NOON
from tests.privacy.people import CLABE, EMAIL, NAME, find_traces
from tests.privacy.test_payload_keys import NEW, OLD, OTHER, acuse, id_of, read, with_keys
from tests.privacy.test_persons import run
from tests.workers.desk import Desk

SAID = f'{{"nombreOrdenante": "{NAME}", "cuenta": "{CLABE}", "email": "{EMAIL}"}}'.encode()
QUESTION = hashlib.sha256(b"which transfer?").digest()


def find_difference(engine: Engine, number: int = 1, closed: bool = False) -> int:
    insert = """insert into discrepancies (source, psp, account, psp_payment_id, account_day, kind, ours, theirs, healing,
            opened_at, closed_at, closed_reason)
        values ('reconciliation', 'paper', 'default', 'p' || :number, '2026-11-20', 'missing_here', '{}', '{}', 'proposed',
            now(), case when :closed then now() end, case when :closed then 'healed' end) returning id"""
    with engine.begin() as connection:
        return int(connection.execute(text(insert), {"number": number, "closed": closed}).scalar_one())


def add_evidence(engine: Engine, difference: int, body: bytes = SAID) -> None:
    with UnitOfWork(engine) as work:
        work.differences.add_evidence([NewEvidence(difference, EvidenceKind.PSP, body, NOON)], NOON)
        work.commit()


def test_evidence_is_sealed_and_its_size_and_digest_are_those_of_what_was_said(engine: Engine) -> None:
    keyed, difference = with_keys(engine, NEW), find_difference(engine)
    add_evidence(keyed, difference)
    assert find_traces(engine) == {}
    with UnitOfWork(keyed) as work:
        [about] = work.difference_reader.get(difference)["evidence"]
        assert (about["bytes"], about["sha256"]) == (len(SAID), hashlib.sha256(SAID).hexdigest())
        assert work.difference_reader.list_bodies(difference) == [("psp", SAID)]
        assert [one.body for one in work.difference_reader.lock_proposals([difference])] == [SAID]


def test_evidence_that_cannot_be_opened_heals_nothing(engine: Engine) -> None:
    difference = find_difference(engine)
    add_evidence(with_keys(engine, NEW), difference)
    with UnitOfWork(with_keys(engine, OLD)) as work:
        assert work.difference_reader.lock_proposals([difference]) == []
        assert work.difference_reader.list_bodies(difference) == [("psp", None)]
        assert work.cep_answers.list_disputed("paper", "default", 10) == []


@pytest.mark.parametrize("moved", ["discrepancy_id = 2", "kind = 'settlement'"])
def test_evidence_that_was_moved_does_not_open(engine: Engine, moved: str) -> None:
    keyed, difference = with_keys(engine, NEW), find_difference(engine)
    find_difference(engine, 2)
    add_evidence(keyed, difference)
    with engine.begin() as connection:
        connection.execute(text(f"update discrepancy_evidence set {moved}"))
    with UnitOfWork(keyed) as work:
        bodies = [*work.difference_reader.list_bodies(difference), *work.difference_reader.list_bodies(2)]
        assert [body for _, body in bodies] == [None]
        assert work.difference_reader.lock_proposals([difference, 2]) == []


def test_locked_evidence_leaves_room_for_what_banxico_can_be_asked_about(engine: Engine) -> None:
    first = find_difference(engine)
    add_evidence(with_keys(engine, NEW), first)
    for number in (2, 3):
        add_evidence(with_keys(engine, OTHER), find_difference(engine, number))
    with UnitOfWork(with_keys(engine, NEW)) as work:
        assert [one.discrepancy_id for one in work.cep_answers.list_disputed("paper", "default", 2)] == [first]


def test_an_answer_to_another_question_does_not_open_and_a_proof_is_replaced_by_nothing_less(engine: Engine) -> None:
    proof, other = KnownAnswer("found", SAID, NOON), hashlib.sha256(b"another").digest()
    with UnitOfWork(with_keys(engine, NEW)) as work:
        work.cep_answers.keep(QUESTION, proof)
        work.cep_answers.keep(QUESTION, KnownAnswer("unknown", b"gone", NOON))
        assert work.cep_answers.find(QUESTION, NOON) == proof
        work.commit()
    with engine.begin() as connection:
        connection.execute(text("update cep_answers set query_digest = :other"), {"other": other})
    with UnitOfWork(with_keys(engine, NEW)) as work:
        assert work.cep_answers.find(other, NOON) is None


def test_in_clear_there_is_no_digest_that_could_outlive_the_words(engine: Engine) -> None:
    add_evidence(engine, find_difference(engine))
    with engine.connect() as connection:
        assert connection.scalar(text("select body_sha256 from discrepancy_evidence")) is None


def test_nothing_older_is_gone_back_to_while_answers_are_sealed(engine: Engine) -> None:
    add_evidence(with_keys(engine, NEW), find_difference(engine))
    with pytest.raises(DBAPIError, match="answers are sealed"):
        step_down(engine, "0017")
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from discrepancy_evidence where key_id is not null")) == 1


def test_banxicos_answers_are_sealed_and_one_that_does_not_open_is_asked_for_again(engine: Engine) -> None:
    answer = KnownAnswer("found", SAID, NOON)
    with UnitOfWork(with_keys(engine, NEW)) as work:
        work.cep_answers.keep(QUESTION, answer)
        work.commit()
        assert work.cep_answers.find(QUESTION, NOON) == answer
    assert find_traces(engine) == {}
    with UnitOfWork(with_keys(engine, OLD)) as work:
        assert work.cep_answers.find(QUESTION, NOON) is None
        work.cep_answers.keep(QUESTION, answer)
        assert work.cep_answers.find(QUESTION, NOON - timedelta(days=1)) == answer


def test_rotation_seals_answers_too_and_a_key_that_one_needs_is_not_removable(engine: Engine) -> None:
    for number, at in enumerate((engine, with_keys(engine, OLD), with_keys(engine, OLD), with_keys(engine, OTHER))):
        add_evidence(at, find_difference(engine, number), b'{"id": %d}' % number)
    with UnitOfWork(with_keys(engine, OLD)) as work:
        work.cep_answers.keep(QUESTION, KnownAnswer("found", SAID, NOON))
        work.commit()
    url = engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
    config = load_config(environment(url, "redis://127.0.0.1:1/0") | {"ACUSE_PAYLOAD_KEYS": f"{NEW},{OLD}"})
    with pytest.raises(NotReady, match=id_of(OTHER)):
        check_start(config, 1)
    told = read(acuse(engine, NEW, OLD)("payload-keys", "rotate", "--only-sealed", "--json"), code=1)
    assert (told["sealed"], told["locked_answers"], told["missing_keys"]) == (3, 1, {id_of(OTHER): 1})
    assert told["removable_keys"] == [id_of(OLD)]
    told = read(acuse(engine, NEW, OTHER)("payload-keys", "rotate", "--json"))
    assert (told["sealed"], told["locked_answers"], told["removable_keys"]) == (2, 0, [id_of(OTHER)])
    with UnitOfWork(with_keys(engine, NEW)) as work:
        bodies = [work.difference_reader.list_bodies(number)[0][1] for number in range(1, 5)]
        assert work.cep_answers.find(QUESTION, NOON) == KnownAnswer("found", SAID, NOON)
    assert bodies == [b'{"id": %d}' % number for number in range(4)]


def test_a_person_is_found_and_erased_in_sealed_answers_and_what_does_not_open_is_said(engine: Engine) -> None:
    keyed = with_keys(engine, NEW)
    add_evidence(keyed, find_difference(engine, 1, closed=True))
    add_evidence(with_keys(engine, OTHER), find_difference(engine, 2, closed=True))
    arguments = ("erase", "--email", "--yes", "--reason", "x", "--json")
    told = read(run(Desk(engine), *arguments, said=f"{EMAIL}\n"), code=1)
    assert (told["counts"]["discrepancy_evidence"], told["locked_rows"]) == (1, {"discrepancy_evidence": 1})
    with UnitOfWork(keyed) as work:
        [(_, body)] = work.difference_reader.list_bodies(1)
        [about] = work.difference_reader.get(1)["evidence"]
    assert EMAIL.encode() not in body
    assert about["sha256"] == hashlib.sha256(body).hexdigest()
