"""What is in the way of closing a day, as the pages say it in another language than the one that it is told in."""

import re

from ingress.console.dependencies import Obstacle
from ingress.console.reconciling_words import name_word
from ingress.console.spanish_closing import NAMED, OBSTACLES
from ingress.console.spanish_reconciling import RECONCILING

COMMAND = re.compile("`[^`]+`")
KIND = re.compile(r"\((\w+)\)")
MORE = re.compile(r" and ([\d,]+) more$")


def say_obstacle(obstacle: Obstacle, language: str) -> str | None:
    """A sentence with what the text names and the commands that it tells to run; None where its own text is to be shown."""
    if language != "es" or obstacle.code not in OBSTACLES:
        return None
    one, many = OBSTACLES[obstacle.code]
    sentence = one if obstacle.count == 1 else many.format(count=f"{obstacle.count:,}")
    named, commands = _say_named(obstacle), ", ".join(COMMAND.findall(obstacle.text))
    return sentence + (f" ({named})" if named else "") + (f": {commands}" if commands else "")


def _say_named(obstacle: Obstacle) -> str:
    pattern, said = NAMED.get(obstacle.code, ("", ""))
    found = re.search(pattern, obstacle.text) if pattern else None
    if not found:
        return ""
    listed = MORE.sub(r" y \1 más", found[1])
    return said.format(KIND.sub(lambda kind: f"({_say_kind(kind[1])})", listed))


def _say_kind(kind: str) -> str:
    english = name_word(kind, "kinds")
    return RECONCILING.get(english, english)
