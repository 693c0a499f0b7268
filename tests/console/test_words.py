"""What the console says in Spanish: whatever it says at all, and every word in one way."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest
from werkzeug.exceptions import HTTPException

from ingress.console import pages
from ingress.console.asked import NO_TIME
from ingress.console.endpoints import NO_ENDPOINT
from ingress.console.events import CARD_DATA, ERASED
from ingress.console.guard import NEEDED
from ingress.console.reconciling_words import name_word
from ingress.console.replay import FILTER_NAMES, SIGNATURES
from ingress.console.state_words import STATES
from ingress.console.words import SPANISH, TABLES, say_parts, translator
from models import states
from tests.console.conftest import Console
from workers.assessing import FORGOTTEN
from workers.refolding import ELSEWHERE
from workers.rehearsing import FETCHED, UNMATCHED

SOURCES = sorted(Path(pages.__file__).parent.glob("*.py"))
VOCABULARIES = {
    "actions": states.OperatorAction,
    "attempt_statuses": states.AttemptStatus,
    "delivery_statuses": states.DeliveryStatus,
    "directions": states.Direction,
    "event_kinds": states.EventKind,
    "event_statuses": states.InboxStatus,
    "methods": states.Method,
    "operations": states.Operation,
    "outcomes": states.Outcome,
    "payment_states": states.PaymentState,
    "replay_states": states.ReplayState,
    "roles": states.OperatorRole,
    "sources": states.Source,
}
spanish = translator("es")


def test_no_text_stands_in_two_tables_with_two_meanings() -> None:
    said: dict[str, set[str]] = defaultdict(set)
    for table in TABLES:
        for english, text in table.items():
            said[english].add(text)
    assert {english: texts for english, texts in said.items() if len(texts) > 1} == {}


def test_every_vocabulary_has_its_spanish() -> None:
    assert VOCABULARIES.keys() == STATES.keys()
    for name, words in VOCABULARIES.items():
        assert {word.value for word in words} == STATES[name].keys()
        assert {name_word(word, name) for word in words} <= SPANISH.keys(), name


@pytest.mark.parametrize("source", SOURCES, ids=[file.stem for file in SOURCES])
def test_every_refusal_has_its_spanish(source: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(source.read_text())) if isinstance(node, ast.Call)]
    aborts = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "abort"]
    texts = [argument.value for call in aborts for argument in call.args[1:] if isinstance(argument, ast.Constant)]
    assert {text for text in texts if isinstance(text, str)} <= SPANISH.keys()
    assert not [call for call in aborts for argument in call.args[1:] if isinstance(argument, ast.JoinedStr)]


@pytest.mark.parametrize("source", SOURCES, ids=[file.stem for file in SOURCES])
def test_whatever_is_told_of_what_was_done_has_its_spanish(source: Path) -> None:
    """What is said=, what _tell is called with, and what any _tell_... gives."""
    nodes = list(ast.walk(ast.parse(source.read_text())))
    said: list[ast.expr | None] = [node.value for node in nodes if isinstance(node, ast.keyword) and node.arg == "said"]
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_tell":
            said += node.args
        if isinstance(node, ast.FunctionDef) and node.name.startswith("_tell_"):
            said += [inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return)]
    texts = {text for value in said if value for text in _list_texts(value)}
    assert texts <= SPANISH.keys()


def _list_texts(value: ast.expr) -> set[str]:
    """What it may come to, of a choice both sides."""
    if isinstance(value, ast.IfExp):
        return _list_texts(value.body) | _list_texts(value.orelse)
    return {value.value} if isinstance(value, ast.Constant) and isinstance(value.value, str) and value.value else set()


def test_what_is_wrong_with_a_signature_and_which_lane_it_is_have_their_spanish() -> None:
    assert SIGNATURES.keys() == set(states.Verification)
    assert {*SIGNATURES.values(), *FILTER_NAMES.values(), "lane"} <= SPANISH.keys()


def test_what_flask_refuses_and_who_may_not_are_told_in_spanish(console: Console) -> None:
    assert {*NEEDED.values(), *pages.USUAL.values(), NO_TIME, NO_ENDPOINT} <= SPANISH.keys()
    assert {CARD_DATA, ERASED} <= SPANISH.keys()
    visitor = console.visit("viewer")
    assert "no hay nada en esta dirección" in visitor.get("/language/de?lang=es").text
    sent = visitor.post("/events/3/replay?lang=es", reason="let me", csrf=visitor.csrf())
    assert (sent.status_code, "se necesita el papel de operador" in sent.text) == (403, True)
    assert "la página de nuevo" in console.visit("operator").post("/events/3/replay?lang=es", csrf="other").text


@pytest.mark.parametrize("path", ["/payments", "/nowhere", "/events/3"])
def test_a_method_that_an_address_does_not_take_is_refused_in_the_readers_language(console: Console, path: str) -> None:
    for visitor in (console.visit(), console.visit("viewer")):
        answer, english = (visitor.client.put(f"/console{path}{asked}") for asked in ("?lang=es", ""))
        assert (answer.status_code, english.status_code) == (405, 405)
        assert "esta dirección no admite una petición así" in answer.text and 'lang="es"' in answer.text
        assert "this address takes no such request" in english.text
        assert "GET" in answer.headers["Allow"]
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "/console/login" not in answer.text


@pytest.mark.parametrize("has_its_own", [True, False])
def test_what_lies_elsewhere_keeps_its_answer_to_a_wrong_method(console: Console, has_its_own: bool) -> None:
    console.app.add_url_rule("/consoles", view_func=lambda: "here", methods=["POST"])
    if has_its_own:
        console.app.register_error_handler(HTTPException, lambda error: (f"ours: {error.code}", 405))
    answer = console.visit().client.get("/consoles?lang=es")
    assert answer.status_code == 405
    assert answer.text == "ours: 405" if has_its_own else "Method Not Allowed" in answer.text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (FETCHED, "por consultar: se consulta el pago al PSP, cuya respuesta decide"),
        (UNMATCHED, "recibido: espera su pago y luego se aparta: sin pago"),
        (FORGOTTEN, "la retención borró su contenido, o se borró a una persona"),
        (ELSEWHERE, "sobre otro pago"),
        ("parked: livemode_mismatch", "apartado: modo real y de prueba no coinciden"),
        ("parked: something else (12)", "apartado: something else (12)"),
        (
            "expired: FORBIDDEN (illegal_move); completed: APPLIED",
            "vencido: RECHAZADO (un cambio que no es posible); completado: APLICADO",
        ),
        (
            "ignored: a sale of crypto; Acuse follows buys; completed: APPLIED (late_payment)",
            "ignorado: una venta de criptomonedas; Acuse sigue las compras; completado: APLICADO (llegó después de vencer)",
        ),
        (
            "parked: unparseable: amount is not a whole amount",
            "apartado: no se entiende: amount no es un importe entero",
        ),
    ],
)
def test_what_a_replay_would_come_to_is_told_in_spanish(line: str, said: str) -> None:
    assert say_parts(line, spanish) == said
    assert say_parts(line, translator("en")) == line


def test_states_are_said_in_the_language_of_the_page(console: Console) -> None:
    visitor = console.visit("operator")
    shown = {
        "/payments/p1?lang=es": {"completado", "APLICADO", "RECHAZADO", "vencido", "operador"},
        "/payments?lang=es": {"completado", "reembolsado en parte", "tarjeta"},
        "/events?lang=es": {"apartado", "procesado", "en conflicto"},
        "/events/3?lang=es": {"apartado", "webhook"},
        "?lang=es": {"APLICADO", "apartado"},
        "/replay?look=1&status=parked&lang=es": {"apartado: modo real y de prueba no coinciden"},
    }
    for path, words in shown.items():
        texts = re.sub(r"<[^>]+>", "\n", visitor.get(path).text)
        assert [word for word in words if word not in texts] == [], path
        assert not re.search(r"^(parked|processed|completed|APPLIED|FORBIDDEN|expired)$", texts, re.MULTILINE), path
    assert '<option value="parked">apartado</option>' in visitor.get("/events?lang=es").text
