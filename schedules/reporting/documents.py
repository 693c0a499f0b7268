"""The two pages: a certificate and the report of a day."""

import json
from itertools import groupby
from typing import Any

from models.closings import Closing
from schedules.reporting.day_report import FATES
from schedules.reporting.figures import draw_bridge, draw_counts, draw_trend
from schedules.reporting.pages import FOLDER, render
from schedules.reporting.timeline import find_absent
from schedules.reporting.words import EXPLAINED

CHECK = "check.py.txt"  # what an auditor runs


def draw_certificate(closing: Closing, change: dict[str, Any] | None, superseded_by: int | None = None) -> str:
    """The certificate as a page; `change` is what its day has become since, if it has, and `superseded_by` the newest
    version, if this is not it."""
    certificate = closing.certificate
    return render(
        "certificate.html",
        of=certificate,
        change=change,
        superseded_by=superseded_by,
        certificate_hash=closing.certificate_hash.hex(),
        states=draw_counts("states", "Payments by state", certificate["by_state"], "state"),
        methods=draw_counts("methods", "Payments by method", certificate["by_method"], "method"),
        check=(FOLDER / CHECK).read_text(encoding="utf-8"),
    )


def write_certificate(closing: Closing) -> str:
    """What was hashed, and the hash, as JSON."""
    told = {"certificate_hash": closing.certificate_hash.hex(), "certificate": closing.certificate}
    return json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True) + "\n"


def draw_report(report: dict[str, Any]) -> str:
    """What read_report has read, as a page."""
    shown = len(report["stories"]) + len(report["others"])
    return render(
        "report.html",
        of=report,
        states=draw_counts("states", "Payments by state", report["by_state"], "state"),
        bridges=[draw_bridge(f"money-{at}", money) for at, money in enumerate(report["money"])],
        trend=draw_trend("trend", report["trend"]),
        fates=FATES,
        stories=_group(report["stories"]),
        left_out=report["differences_total"] - shown,
    )


def _group(stories: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """By class, and in it what is open first, as it came."""
    ordered = sorted(stories, key=lambda one: str(one["kind"]))
    return [
        {
            "kind": kind,
            "explained": EXPLAINED.get(kind),
            "list": [one | {"absent": find_absent(kind)} for one in listed],
        }
        for kind, listed in groupby(ordered, key=lambda one: str(one["kind"]))
    ]
