"""What has become of a closed day, in sentences."""

from typing import Any

SHOWN = 5


def tell_change(change: dict[str, Any] | None) -> list[str]:
    """One sentence for each part that is not as the certificate says (schedules.closing.changes); none for None."""
    return [_tell(part, change) for part in change["what"] if not _is_told(part, change)] if change else []


def count(number: int, one: str, many: str) -> str:
    """1 payment was, 1,234 payments were."""
    return f"{number:,} {one if number == 1 else many}"


def _is_told(part: str, change: dict[str, Any]) -> bool:
    return part == "differences" and "open_differences" in change["what"]


def _tell(part: str, change: dict[str, Any]) -> str:
    version = f"version {change['since_version']}"
    if part == "lines":
        touched = change["payments_total"]
        who = f"{count(touched, 'payment was', 'payments were')} written to since" if touched else "which is not known"
        return f"The lines differ from the {change['lines_before']:,} of {version}: {who}."
    if part == "open_differences":
        total, ids = change["open_differences_total"], change["open_differences"][:SHOWN]
        more = f" and {total - len(ids):,} more" if total > len(ids) else ""
        named = ", ".join(str(id) for id in ids)
        return f"{count(total, 'difference is', 'differences are')} open that {version} does not name: {named}{more}."
    if part == "differences":
        return f"What there was of differences, and what became of them, is not what {version} says any more."
    return f"Settlement reports add up to something else than in {version}."
