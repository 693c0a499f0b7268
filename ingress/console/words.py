"""The console in English and Spanish: pages say English, and this is what is said instead."""

from collections.abc import Callable

from flask import request

from ingress.console.spanish import COMMON
from ingress.console.spanish_now import EVENT, NOW
from ingress.console.spanish_reading import READING
from ingress.console.spanish_reconciling import RECONCILING
from ingress.console.spanish_replay import REPLAY
from ingress.console.spanish_workers import WORKERS

LANGUAGES = ("en", "es")
COOKIE = "acuse-language"
SPANISH = {
    **COMMON,
    **EVENT,
    **NOW,
    **READING,
    **RECONCILING,
    **WORKERS,
    **REPLAY,
}


def find_language() -> str:
    """What was chosen, or else what the browser prefers."""
    chosen = request.args.get("lang") or request.cookies.get(COOKIE)
    return chosen if chosen in LANGUAGES else request.accept_languages.best_match(LANGUAGES) or "en"


def translator(language: str) -> Callable[[str], str]:
    """A function that says an English text in this language."""
    return (lambda text: SPANISH.get(text, text)) if language == "es" else (lambda text: text)
