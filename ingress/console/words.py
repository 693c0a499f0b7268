"""The console in English and Spanish: pages say English, and this is what is said instead."""

from collections.abc import Callable

from flask import request

from ingress.console import reason_words
from ingress.console.spanish import COMMON
from ingress.console.spanish_actions import ACTIONS
from ingress.console.spanish_now import EVENT, NOW
from ingress.console.spanish_operators import OPERATORS
from ingress.console.spanish_reading import READING
from ingress.console.spanish_reconciling import RECONCILING
from ingress.console.spanish_replay import REPLAY
from ingress.console.spanish_states import REFUSALS, STATES
from ingress.console.spanish_workers import WORKERS

LANGUAGES = ("en", "es")
COOKIE = "acuse-language"
TABLES = (
    COMMON,
    EVENT,
    NOW,
    OPERATORS,
    READING,
    RECONCILING,
    WORKERS,
    REPLAY,
    STATES,
    REFUSALS,
    ACTIONS,
    *reason_words.TABLES,
)  # what stands in two of them is said the same in both
SPANISH = {english: spanish for table in TABLES for english, spanish in table.items()}


def find_language() -> str:
    """What was chosen, or else what the browser prefers."""
    chosen = request.args.get("lang") or request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"


def find_said() -> str:
    """What was done, as the address says it; a link from elsewhere does not make us say anything."""
    said = request.args.get("said", "")
    return said if said in SPANISH and said not in reason_words.SPANISH else ""


def translator(language: str) -> Callable[[str], str]:
    """A function that says an English text in this language."""
    return _say_spanish if language == "es" else (lambda text: text)


def _say_spanish(text: str) -> str:
    return SPANISH.get(text) or reason_words.find_spanish(text) or text


def say_parts(text: str, say: Callable[[str], str]) -> str:
    """A line that is made of words of ours, as "expired: FORBIDDEN (illegal_move)" is; what is none of them stays."""
    return "".join(say(part) for part in reason_words.PARTS.split(text))
