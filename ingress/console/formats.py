"""How pages write money, times and spans."""

from datetime import datetime

from flask import Blueprint


def show_money(minor: int | None, currency: str) -> str:
    """Minor units with two places, which all our currencies have."""
    if minor is None:
        return ""
    whole, rest = divmod(abs(minor), 100)
    return f"{'-' if minor < 0 else ''}{whole:,}.{rest:02d} {currency}".rstrip()


def show_when(at: datetime | None) -> str:
    """UTC, to the second."""
    return at.strftime("%Y-%m-%d %H:%M:%S") if at else ""


def show_span(seconds: float) -> str:
    """Seconds, minutes or hours."""
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def add_formats(blueprint: Blueprint) -> None:
    """As the filters money, when and span."""
    for name, show in (("money", show_money), ("when", show_when), ("span", show_span)):
        blueprint.add_app_template_filter(show, name)
