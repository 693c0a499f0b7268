"""Reasons as the pages say them: in English as they are stored. What is no word of ours, such as a PSP's code, stays as it is."""

import re

from ingress.console import spanish_calls, spanish_messages, spanish_reasons
from ingress.console.spanish_actions import SUBJECTS

GAP = "{}"
TABLES = (spanish_reasons.REASONS, spanish_messages.IGNORED, spanish_messages.UNPARSEABLE, spanish_calls.CALLS)
SPANISH = {english: spanish for table in TABLES for english, spanish in table.items()}
TEMPLATES = spanish_reasons.TEMPLATES | spanish_messages.TEMPLATES | spanish_calls.TEMPLATES
SEPARATORS = ": |; | \\(|\\)"


def _read(template: str, gap: str) -> str:
    return gap.join(re.escape(part) for part in template.split(GAP))


def _compile(templates: dict[str, str]) -> list[tuple[re.Pattern[str], str]]:
    """The longest first: it says the most."""
    ordered = sorted(templates.items(), key=lambda pair: len(pair[0]), reverse=True)
    return [(re.compile(_read(english, "(.+)"), re.DOTALL), spanish) for english, spanish in ordered]


def _join_whole() -> str:
    """Texts of ours that hold what parts of a line are told apart by."""
    whole = [one for one in (*SPANISH, *TEMPLATES) if re.search(SEPARATORS, one)]
    texts = "|".join(_read(one, ".+?") for one in sorted(whole, key=len, reverse=True))
    return rf"(?:^|(?<=: )|(?<=; )|(?<= \())(?:{texts})(?=$|; |\))"


COMPILED, COMPILED_SUBJECTS = _compile(TEMPLATES), _compile(SUBJECTS)
PARTS = re.compile(f"({_join_whole()}|{SEPARATORS})")  # of a line; a reason is one of them


def find_spanish(text: str) -> str | None:
    """A reason of ours in Spanish; None for what is none. Where it goes on with something else, that stays."""
    if text in SPANISH:
        return SPANISH[text]
    return _fill(text, COMPILED)


def _fill(text: str, templates: list[tuple[re.Pattern[str], str]]) -> str | None:
    for pattern, spanish in templates:
        if found := pattern.fullmatch(text):
            return spanish.format(*(find_spanish(gap) or gap for gap in found.groups()))
    return None


def say_reason(text: str | None, language: str) -> str:
    """A stored reason, or an error's code with the words behind it."""
    if not text or language != "es":
        return text or ""
    head, colon, rest = text.partition(": ")
    return find_spanish(text) or (find_spanish(head) or head) + colon + rest


def say_subject(text: str, language: str) -> str:
    """What an operator did something to, as in `event 17`."""
    return (_fill(text, COMPILED_SUBJECTS) if language == "es" else None) or text
