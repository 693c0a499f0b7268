"""Banxico's word about disputed SPEI payments: a third witness, asked seldom, whose answers are kept."""

from datetime import timedelta

import structlog

from models.cep_answers import Disputed, KnownAnswer
from models.differences import NewEvidence
from models.states import EvidenceKind
from models.unit_of_work import UnitOfWork
from psps.card_data import redact
from psps.cep.client import CepClient
from psps.cep.query import CepQuery, find_query
from psps.outbound import NotNow
from schedules.calendar.days import civil_day
from schedules.reconciling.running import Runner

log = structlog.get_logger(__name__)

MOST_QUESTIONS = 10  # of one run
MOST_LOOKED_AT = 200  # differences, of which many may give no question
# A proof comes up to half an hour after the payment; what was not there then is asked for again some time later.
NEVER_MIND_FOR = timedelta(hours=1)
FOUND, UNKNOWN = "found", "unknown"


def ask_banxico(runner: Runner) -> None:
    """Ask about this account's open differences, as far as the portal answers, and keep what it says as evidence."""
    cep = runner.deps.cep
    if cep is None or runner.deps.lists_by[runner.run.psp] != "operating_day":
        return
    with runner.deps.unit_of_work() as work:
        disputed = work.cep_answers.list_disputed(runner.run.psp, runner.run.account, MOST_LOOKED_AT)
    asked = 0
    for one in disputed:
        query = find_query(one.body)
        if query is None or _recall(runner, one, query):
            continue
        if asked == MOST_QUESTIONS or not _ask_about(runner, cep, one, query):
            return
        asked += 1


def _recall(runner: Runner, one: Disputed, query: CepQuery) -> bool:
    """Whether the answer is known, from this difference or another one."""
    with runner.deps.unit_of_work() as work:
        known = work.cep_answers.find(query.digest(), runner.deps.clock() - NEVER_MIND_FOR)
    if known is not None and _is_final(query, known):
        _keep(runner, one, query, known)
    return known is not None


def _ask_about(runner: Runner, cep: CepClient, one: Disputed, query: CepQuery) -> bool:
    """False where Banxico cannot be asked now."""
    try:
        answer = cep.ask(query)
    except NotNow as error:
        log.warning("cep_not_asked", error=error.code, retry_after=error.retry_after)
        return False
    runner.counts[f"cep_{answer.outcome}"] += 1
    _keep(runner, one, query, KnownAnswer(answer.outcome, redact(answer.body)[0], answer.as_of))
    return True


def _is_final(query: CepQuery, known: KnownAnswer) -> bool:
    """A proof, or the word of a later day that there is none: on the day itself it may still come."""
    return known.outcome == FOUND or (known.outcome == UNKNOWN and civil_day(known.told_at) > query.civil_day)


def _keep(runner: Runner, one: Disputed, query: CepQuery, known: KnownAnswer) -> None:
    """What is not settled yet is asked for again by a later run, so it is no evidence yet."""

    def work_on(work: UnitOfWork) -> list[int]:
        work.cep_answers.keep(query.digest(), known)
        if _is_final(query, known):
            evidence = NewEvidence(one.discrepancy_id, EvidenceKind.CEP, known.body, known.told_at)
            work.differences.add_evidence([evidence], runner.deps.clock())
        return []

    runner.store(work_on)
