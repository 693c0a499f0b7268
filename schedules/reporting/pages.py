"""Pages that stand alone: one file, no script, nothing from elsewhere, and a policy that says so."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from psps.clabe import mask_clabes
from schedules.calendar.days import MEXICO_CITY
from schedules.reporting import words
from schedules.reporting.changes import tell_change
from schedules.reporting.charts import draw_swatch
from schedules.reporting.money import NOTHING, write_grouped, write_money, write_units

FOLDER = Path(__file__).parent / "page"


def render(template: str, **context: Any) -> str:
    """The page as HTML. Every text that is put into it is escaped, and what may be a CLABE shows its last 4 digits."""
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finish,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "money": write_money,
        "decimal": write_grouped,
        "units": lambda base_units, scale: write_units(base_units, scale, ",") or NOTHING,
        "number": lambda number: f"{number:,}",
        "moment": write_moment,
        "utc": lambda at: f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M}",
        "long_day": write_day,
        "grouped": lambda text: " ".join(re.findall(".{1,8}", text)),
        **{listed: partial(_name, known) for listed, known in _list_words().items()},
    }
    environment.globals |= {"swatch": draw_swatch, "tell_change": tell_change}
    # The style is ours, and must stay byte for byte what the policy has the hash of.
    return environment.get_template(template).render(style=Markup(style), policy=policy, **context)  # nosec B704 # noqa: S704 - as above


def write_moment(at: datetime | str | None) -> str:
    """2026-11-20 12:00:05 in Mexico City; ISO 8601 is read too."""
    if at is None:
        return NOTHING
    moment = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{moment.astimezone(MEXICO_CITY):%Y-%m-%d %H:%M:%S}"


def write_day(day: date | str) -> str:
    """Friday, 20 November 2026."""
    known = date.fromisoformat(day) if isinstance(day, str) else day
    return f"{known:%A}, {known.day} {known:%B %Y}"


def _list_words() -> Mapping[str, Mapping[str, str]]:
    return {
        "psp_name": words.PSPS,
        "method_name": words.METHODS,
        "day_name": words.DAYS,
        "class_name": words.CLASSES,
        "fate_name": words.FATES,
        "healing_name": words.HEALINGS,
        "line_name": words.LINES,
        "field_name": words.FIELDS,
        "plain": {},
    }


def _name(known: Mapping[str, str], word: object) -> str:
    return words.name(known, word)


def _finish(value: Any) -> Any:
    return mask_clabes(value) if type(value) is str else value
