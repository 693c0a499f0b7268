"""Everything that a timeline can hold has a sentence in both languages, and a header chooses the language."""

import ast
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingress.api.wording import (
    LANGUAGES,
    WORDS,
    choose_language,
    describe_attempt,
    describe_notification,
    describe_state,
    describe_transition,
)
from models.states import AttemptStatus, DeliveryStatus, EventKind, Operation, Outcome, PaymentState, Source
from workers.state_machine import MOVES

WORKERS = Path(__file__).parents[2] / "workers"
CODE = re.compile(r"[a-z]+(_[a-z]+)*")
NOBODY_KNOWS = "never_heard_of"
SENTENCES = re.compile(r"[A-Z0-9][^_{}<>]*\.")
SLIPS = re.compile(r"\bNone\b|[A-Z][a-z]+[A-Z]|[A-Z]{6}|  | [.;:]|[.;:]{2}")  # of str.format, reprs, gaps left empty


def find_reasons(tree: ast.AST) -> Iterator[ast.expr]:
    """Whatever a module gives a transition as its reason, directly or through a name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "NewTransition":
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "reason")
        elif isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "reason" for t in node.targets):
            yield node.value


def list_texts(tree: ast.AST) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def list_written() -> dict[str, list[ast.expr]]:
    """By module, what those that write transitions give them as reasons."""
    trees = {path.stem: ast.parse(path.read_text("utf-8")) for path in WORKERS.rglob("*.py")}
    writers = {name: tree for name, tree in trees.items() if "NewTransition(" in ast.unparse(tree)}
    return {name: list(find_reasons(tree)) for name, tree in writers.items()}


def collect_reasons() -> list[str]:
    """Every reason in the source of the workers: what decisions.py can say, and what the writers add by themselves."""
    decisions = ast.parse((WORKERS / "decisions.py").read_text("utf-8"))
    said = {text for text in list_texts(decisions) if CODE.fullmatch(text)}
    added = {text for reasons in list_written().values() for reason in reasons for text in list_texts(reason)}
    return sorted(said | added)


REASONS = collect_reasons()
CODES = [reason for reason in REASONS if CODE.fullmatch(reason)]
STATES = [*PaymentState, None]


def check_pair(told: list[str]) -> None:
    """One sentence or two in each language, whole, clean and not the same."""
    assert len(set(told)) == len(LANGUAGES)
    for text in told:
        assert SENTENCES.fullmatch(text), text
        assert not SLIPS.search(text), text
        assert 1 <= len(re.findall(r"\.(?= |$)", text)) <= 2, text
        assert len(text) <= 250, text


def tell(*said: str | None) -> list[str]:
    return [describe_transition(language, *said) for language in LANGUAGES]  # type: ignore[arg-type]


def test_the_reasons_of_the_workers_are_found() -> None:
    assert {"adopted", "illegal_move", "implied", "late_payment", "noted", "reordered", "underpaid"} <= set(CODES)
    assert "no payment of ours fits it" in REASONS


def test_no_module_writes_reasons_that_this_test_cannot_see() -> None:
    for module, reasons in list_written().items():
        assert reasons, module
        for reason in reasons:
            assert isinstance(reason, ast.Constant) or ast.unparse(reason) in {"reason", "decided.reason"}, module


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_are_those_that_the_workers_and_the_vocabularies_have(language: str) -> None:
    words = WORDS[language]
    assert sorted([*words.REMARKS, *words.CAUSES]) == CODES
    assert set(words.STATES) == set(PaymentState)
    assert set(words.REPORTS) == set(Source)
    assert set(words.NEWS) == set(EventKind)
    assert {*words.UNCHANGED, Outcome.APPLIED, Outcome.FORBIDDEN} == set(Outcome)
    assert set(words.REQUESTS) == set(Operation)
    assert set(words.ATTEMPTS) == set(AttemptStatus)
    assert set(words.NOTIFICATIONS) == set(DeliveryStatus)
    assert set(words.REFUSALS) == set(WORDS["en"].REFUSALS)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", CODES)
def test_every_reason_has_a_sentence_of_its_own(code: str, language: str) -> None:
    def say(outcome: Outcome, reason: str) -> str:
        return describe_transition(language, "completed", "failed", "completed", outcome, reason, "webhook")

    told = [say(outcome, code) for outcome in Outcome if say(outcome, code) != say(outcome, NOBODY_KNOWS)]
    others = {say(outcome, other) for outcome in Outcome for other in CODES if other != code}
    assert set(told) - others


@pytest.mark.parametrize("reason", [*REASONS, NOBODY_KNOWS, "", "Ñandú {standing}", None])
def test_every_outcome_with_every_reason_is_told(reason: str | None) -> None:
    for outcome, kind, source in itertools.product(Outcome, EventKind, Source):
        for states in ((None, None), ("pending", "completed"), ("disputed", "disputed")):
            check_pair(tell(kind, *states, outcome, reason, source))


@pytest.mark.parametrize("kind", EventKind)
def test_every_kind_of_event_is_told_whatever_the_states(kind: EventKind) -> None:
    for from_state, to_state, outcome in itertools.product(STATES, STATES, Outcome):
        check_pair(tell(kind, from_state, to_state, outcome, None, Source.WEBHOOK))


@pytest.mark.parametrize("language", LANGUAGES)
def test_moves_that_end_in_different_states_are_told_differently(language: str) -> None:
    ends: dict[str, set[str]] = {}
    for from_state, kind, to_state in MOVES:
        told = describe_transition(language, kind, from_state, to_state, "APPLIED", None, "webhook")
        ends.setdefault(told, set()).add(to_state)
    assert all(len(states) == 1 for states in ends.values())


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("outcome", [Outcome.DUPLICATE, Outcome.STALE, Outcome.FORBIDDEN])
def test_what_changed_nothing_says_so_and_why(outcome: Outcome, language: str) -> None:
    stays = {"en": "the payment stays expired", "es": "el pago sigue vencido"}
    why = {
        "en": {"DUPLICATE": "known already", "STALE": "older", "FORBIDDEN": "because"},
        "es": {"DUPLICATE": "ya se sabía", "STALE": "anterior", "FORBIDDEN": "porque"},
    }
    told = describe_transition(language, "failed", "expired", "expired", outcome, "illegal_move", "fetch")
    assert stays[language] in told
    assert why[language][outcome] in told


def test_the_sentences_read_as_they_should() -> None:
    assert tell("completed", "expired", "completed", "APPLIED", "late_payment", "webhook")[1] == (
        "El proveedor de pagos informó que el pago se completó. "
        "El pago había vencido; el dinero, o el aviso de que llegó, se recibió después."
    )
    assert tell("refunded", "completed", "partially_refunded", "APPLIED", None, "reconciliation") == [
        "The payment provider's own list says that money was refunded; the payment is now partially refunded.",
        "La lista del proveedor de pagos indica que se reembolsó dinero; el pago ahora está reembolsado en parte.",
    ]
    assert tell("completed", "pending", "pending", "FORBIDDEN", "amount_mismatch", "fetch")[0] == (
        "When asked, the payment provider said that the payment was completed. This was not applied because "
        "the amount is not that of this payment; the payment stays pending, and the case is under review."
    )
    assert tell("pending", None, None, "UNMATCHED", "no payment of ours fits it", "webhook")[1] == (
        "El proveedor de pagos informó que el pago está registrado y todavía no se ha pagado. "
        "No corresponde a ningún pago registrado aquí: nada cambió."
    )


def test_a_refund_that_the_provider_took_back_is_not_told_as_money_refunded() -> None:
    told = tell("refunded", "refunded", "completed", "APPLIED", None, "webhook")
    assert told[0] == "The payment provider reported how much of the payment is refunded; the payment is now completed."


@pytest.mark.parametrize("state", PaymentState)
def test_every_state_has_a_label(state: PaymentState) -> None:
    labels = [describe_state(language, state) for language in LANGUAGES]
    assert labels[0] != labels[1]
    assert all(re.fullmatch(r"[A-Z][a-z ]+", label) for label in labels)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_states_have_the_same_label(language: str) -> None:
    assert len({describe_state(language, state) for state in PaymentState}) == len(PaymentState)


@pytest.mark.parametrize("status", AttemptStatus)
@pytest.mark.parametrize("operation", Operation)
def test_every_attempt_is_told(operation: Operation, status: AttemptStatus) -> None:
    for code in (None, "", "timeout", "E 17.4", *WORDS["en"].REFUSALS):
        check_pair([describe_attempt(language, operation, status, code) for language in LANGUAGES])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_shows_the_code_of_the_provider(language: str) -> None:
    assert describe_attempt(language, "refund", "refused", "card_declined").endswith("“card_declined”.")
    assert describe_attempt(language, "refund", "refused", "{request} %s").endswith("“{request} %s”.")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", [None, "", "  ", "x" * 65, "a\nb", "a\x00b", "a\u202eb", "\ud800"])
def test_a_refusal_shows_no_code_that_is_long_or_cannot_be_printed(code: str | None, language: str) -> None:
    told = describe_attempt(language, "create", "refused", code)
    assert told == describe_attempt(language, "create", "refused", None)
    assert "“" not in told


@pytest.mark.parametrize("status", DeliveryStatus)
def test_every_notification_is_told(status: DeliveryStatus) -> None:
    for attempts, last_status in itertools.product((0, 1, 2, 12), (None, 204, 410, 503)):
        check_pair([describe_notification(language, status, attempts, last_status) for language in LANGUAGES])


def test_a_notification_tells_how_often_it_was_tried_and_what_came_back() -> None:
    assert [describe_notification(language, "pending", 3, 503) for language in LANGUAGES] == [
        "3 attempts to notify failed (the last: HTTP 503); another one follows.",
        "Fallaron 3 intentos de notificar (el último: HTTP 503); habrá otro.",
    ]
    assert (
        describe_notification("en", "failed", 1, None) == "The notification was given up after one attempt (no answer)."
    )
    assert describe_notification("es", "delivered", 1, 200) == "La notificación se entregó al primer intento."


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("en", "en"),
        ("es", "es"),
        ("ES", "es"),
        ("es-MX", "es"),
        ("es_MX", "es"),
        ("es-419", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("en;q=0.3, es-MX;q=0.5", "es"),
        ("es-MX;q=0.5, en;q=0.3", "es"),
        ("es ; q=0.5 , en ; q=0.7", "en"),
        ("es, en", "es"),
        ("en, es", "en"),
        ("fr, de;q=0.9", "en"),
        ("fr, es;q=0.1", "es"),
        ("*", "en"),
        ("es, *", "es"),
        ("*, es", "es"),
        ("*;q=0.5, es;q=0.1", "en"),
        ("*;q=0.1, es;q=0.5", "es"),
        ("en;q=0, *", "es"),
        ("en;q=0", "en"),
        ("en;q=0, es;q=0", "en"),
        ("es;q=0", "en"),
        ("es;q=0.001", "es"),
        ("es;q=2", "en"),
        ("es;q=-1", "en"),
        ("es;q=x, en;q=0.1", "en"),
        ("est", "en"),
        ("español", "en"),
        (";;,,=;q=1", "en"),
        ("\x00\xff", "en"),
        ("es," * 2000, "es"),
    ],
)
def test_the_header_chooses_the_language(header: str | None, language: str) -> None:
    assert choose_language(header) == language


@given(st.text(alphabet="es-n*;q=01., \"_mxñ\x00'", max_size=60))
@settings(max_examples=60, deadline=None)
def test_no_header_is_too_odd(header: str) -> None:
    assert choose_language(header) in LANGUAGES
