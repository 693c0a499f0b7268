"""How whole payments, folded anew, are shown."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any
from uuid import UUID

import click

from commands.database import show_json, show_rows
from commands.replay_tables import tell_stands
from commands.terms import fail
from models.reading import NotFound
from models.rehearsals import FoldedPayment
from models.replays import ReplayFilter
from workers.dependencies import ReplayDeps
from workers.refolding import list_payments, refold

WINDOW = 5000
COLUMNS = ("id", "received_at", "then", "now")


def show_history(deps: ReplayDeps, wanted: ReplayFilter, limit: int, as_json: bool) -> None:
    """Fold the payment, or the payments that the events which fit were about, and show what differs."""
    try:
        folded = [refold(deps, wanted.payment)] if wanted.payment else list(_fold_all(deps, wanted, limit))
    except NotFound as error:
        fail(str(error))
    differing = [one for one in folded if one.differs]
    unread = len({event.id for one in folded for event in one.events if not event.is_read})
    if as_json:
        shown = folded if wanted.payment else differing
        payments = [asdict(one) | {"differs": one.differs} for one in shown]
        looked = {"looked_at": len(folded), "is_whole": len(folded) < limit, "unread": unread}
        show_json(looked | {"payments": payments})
        return
    for one in folded if wanted.payment else differing:
        _show(one)
    if not wanted.payment:
        more = "" if len(folded) < limit else ", and there may be more: --limit"
        click.echo(f"{len(differing)} of {len(folded)} payments differ{more}")
        _tell_unread(unread)


def _fold_all(deps: ReplayDeps, wanted: ReplayFilter, limit: int) -> Iterator[FoldedPayment]:
    seen: set[UUID] = set()
    after: int | None = 0
    while after is not None:
        found, after = list_payments(deps, after, wanted, WINDOW)
        for payment_id in sorted(set(found) - seen)[: limit - len(seen)]:
            seen.add(payment_id)
            yield refold(deps, str(payment_id))
        if len(seen) >= limit:
            return


def _tell_unread(count: int) -> None:
    if count:
        click.echo(
            f"of {count} events the payload is gone, or cannot be read today: what was understood of them then is folded"
        )


def _show(one: FoldedPayment) -> None:
    click.echo(f"{one.psp} {one.psp_payment_id or ''} ({one.id})")
    word = "differs" if one.differs else "is the same"
    click.echo(f"stored: {tell_stands(one.stored)}; folded anew: {tell_stands(one.folded)}: {word}")
    _tell_unread(one.kept)
    rows: list[dict[str, Any]] = [asdict(event) for event in one.events]
    show_rows(rows, COLUMNS, "no events")
    click.echo()
