"""Why things came out as they did, in Spanish: whatever our code can write, and nothing that it cannot."""

import ast
import re
from dataclasses import dataclass

import pytest

from ingress.console.closing_words import say_obstacle
from ingress.console.formats import show_free
from ingress.console.reason_words import SPANISH, TEMPLATES, find_spanish, say_reason, say_subject
from ingress.console.reconciling_words import OBSTACLES as TITLES
from ingress.console.spanish_actions import SUBJECTS
from ingress.console.spanish_closing import NAMED, OBSTACLES
from ingress.console.words import SPANISH as WORDS
from models.endpoint_health import DisabledReason
from models.states import InboxStatus
from notifications.sending import SendError
from schedules.closing import reasons
from tests.console.conftest import Console
from tests.console.written_reasons import ROOT, list_assigned, list_calls, list_reasons, read_module, read_texts

WRITTEN = list_reasons()
CODES = {*SendError, *DisabledReason}
MISMATCH = "modo real y de prueba no coinciden"


@dataclass(frozen=True)
class Found:
    """An obstacle with any text."""

    code: str
    text: str
    count: int = 1


def list_obstacles() -> list[tuple[str, str]]:
    """(code, text) of each that the code of closing can tell."""
    found = []
    for path in sorted((ROOT / "schedules/closing").glob("*.py")):
        module, tree = read_module(path)
        for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            names = list_assigned(scope)
            for call in list_calls(scope, "Reason"):
                codes = read_texts(call.args[0], module, names)
                texts = read_texts(call.args[1], module, names) or {""}
                found += [(code, text) for code in codes for text in texts]
    return found


def test_the_code_is_read_for_its_reasons() -> None:
    seen = {
        "workers/decisions.py": "illegal_move",
        "workers/calling.py": "not fetched yet: {}",
        "workers/dispatching.py": "gave_up",
        "workers/reading.py": "livemode_mismatch",
        "workers/batches.py": "unmatched",
        "models/payload_vault.py": "payload key missing: {}",
        "models/inbox.py": "same key as an earlier delivery, other content",
        "psps/stripe/events.py": "details of a charge; the PaymentIntent's events count",
        "psps/openpay/events.py": "verification code {}; enter it in Openpay's dashboard",
        "psps/gate.py": "breaker_open",
        "schedules/reconciling/service.py": "paused",
    }
    assert {place: text for text, place in WRITTEN.items() if seen.get(place) == text} == seen
    assert len(WRITTEN) > 150


def test_every_reason_that_our_code_writes_has_its_spanish() -> None:
    untold = {text: place for text, place in WRITTEN.items() if find_spanish(text.replace("{}", "x9")) is None}
    assert untold == {}
    assert [code for code in CODES if find_spanish(code) is None] == []


def test_nothing_has_its_spanish_that_nobody_writes() -> None:
    assert SPANISH.keys() - WRITTEN.keys() - CODES == set()
    assert TEMPLATES.keys() - WRITTEN.keys() == set()


def test_masking_leaves_our_own_words_as_they_are() -> None:
    assert [text for text in WRITTEN if show_free(text) != text] == []


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("unmatched", "sin pago"),
        ("payload key missing: k-2026", "falta la clave del contenido: k-2026"),
        ("not fetched yet: breaker_open", "aún sin consultar: llamadas retenidas: demasiadas fallaron seguidas"),
        ("not fetched yet: card_velocity", "aún sin consultar: card_velocity"),
        ("fetched as event 12", "consultado: es el evento 12"),
        ("failed 5 times, the last time with KeyError", "falló 5 veces, la última con KeyError"),
        (
            "unparseable: fee is not an amount with at most 2 decimals",
            "no se entiende: fee no es un importe con 2 decimales como máximo",
        ),
        ("breaker_open: too many", "llamadas retenidas: demasiadas fallaron seguidas: too many"),
        ("expired", "expired"),
        ("insufficient_funds", "insufficient_funds"),
        ("refund_disputed_payment", "refund_disputed_payment"),
        ("{}", "{}"),
        ("unparseable: {0}", "no se entiende: {0}"),
        ("", ""),
        (None, ""),
    ],
)
def test_what_our_words_go_on_with_stays(stored: str | None, said: str) -> None:
    """A PSP's code stays too, also where it is the word for one of our states."""
    assert say_reason(stored, "es") == said
    assert say_reason(stored, "en") == (stored or "")


def test_every_obstacle_has_its_sentence_with_what_it_names() -> None:
    found = list_obstacles()
    codes = {code for code, _ in found if "{}" not in code} | {f"events_{status}" for status in reasons.EVENTS}
    assert len(found) > 10
    assert codes == OBSTACLES.keys() == TITLES.keys()
    assert {*TITLES.values()} <= WORDS.keys()
    assert {code for code, _ in found if "{}" in code} == {"events_{}"}
    for code, text in found:
        pattern, said = NAMED.get(code.replace("{}", InboxStatus.PARKED), ("", ""))
        assert re.search(pattern, text), text
        assert said.count("{}") == bool(pattern)


@pytest.mark.parametrize("code", sorted(OBSTACLES))
def test_an_obstacle_is_told_with_its_count_and_what_to_run(code: str) -> None:
    one, many = (say_obstacle(Found(code, "do `acuse x` or `acuse y 1`", count), "es") for count in (1, 1200))
    assert one and many
    assert one.endswith(": `acuse x`, `acuse y 1`") and many.endswith(": `acuse x`, `acuse y 1`")
    assert ("1,200" in many) == (one != many)
    assert "{" not in one + many
    assert say_obstacle(Found(code, "text"), "en") is None


def test_what_an_obstacle_names_is_said_too() -> None:
    differences = Found("open_differences", "7 differences are open: 3 (state), 4 (late) and 5 more", 7)
    assert (
        say_obstacle(differences, "es")
        == "7 diferencias están abiertas (3 (Estado o dinero recibido), 4 (Liquidación atrasada) y 5 más)"
    )
    waiting = Found("events_parked", "1 delivery of the day is parked: look at `acuse events list` (events 12)")
    assert say_obstacle(waiting, "es") == "una entrega del día está apartada (eventos 12): `acuse events list`"
    assert say_obstacle(Found("a_new_one", "run `acuse x`"), "es") is None


def test_whatever_operators_act_on_has_its_spanish() -> None:
    heads = set()
    for path in sorted([*(ROOT / "ingress/console").glob("*.py"), ROOT / "commands/operators.py"]):
        module, tree = read_module(path)
        for scope in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
            for call in list_calls(scope, "NewAction"):
                heads |= read_texts(call.args[2], module, list_assigned(scope))
    assert {head.partition(" ")[0] + " {}" for head in heads} == SUBJECTS.keys()
    assert say_subject("event 17", "es") == "evento 17"
    assert say_subject("event 17", "en") == say_subject("event 17", "fr") == "event 17"


def test_pages_say_reasons_in_spanish_and_forms_and_links_carry_them_as_they_are_stored(console: Console) -> None:
    visitor = console.visit("operator")
    parked = visitor.get("/parked?lang=es").text
    assert f"paper: {MISMATCH}" in parked
    assert 'name="reason" value="livemode_mismatch"' in parked
    assert "reason=livemode_mismatch" in parked
    replay = visitor.get("/replay?look=1&status=parked&reason=livemode_mismatch&lang=es").text
    assert f"<td>{MISMATCH}</td>" in replay
    assert 'name="reason" value="livemode_mismatch"' in replay
    for path in ("/events/3", "/events?status=parked"):
        assert MISMATCH in visitor.get(f"{path}?lang=es" if "?" not in path else f"{path}&lang=es").text
        assert "livemode_mismatch" in visitor.get(path).text
    for path in ("/payments/p1", "/events/2"):
        assert "un cambio que no es posible" in visitor.get(f"{path}?lang=es").text
        assert "illegal_move" in visitor.get(path).text
    sent = visitor.post(
        "/parked", psp="paper", reason="livemode_mismatch", why="test", action="dismiss", csrf=visitor.csrf()
    )
    assert "They+are+dismissed" in sent.location


def test_actions_are_named_in_spanish_and_what_an_operator_wrote_is_left(console: Console) -> None:
    visitor = console.visit("operator")
    visitor.post("/events/3/replay", reason="unmatched", csrf=visitor.csrf())
    shown, english = visitor.get("/actions?lang=es").text, visitor.get("/actions").text
    for said in ("entrar", "la contraseña es correcta", "procesar eventos de nuevo", "evento 3", "<td>unmatched</td>"):
        assert said in shown
    for stored in ("operators.login", "events.replay", "event 3", "the password is right"):
        assert stored in english
        assert stored not in shown
    assert "procesar eventos de nuevo" in visitor.get("/events/3?lang=es").text
