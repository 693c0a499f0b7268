"""How a rehearsal is shown."""

from dataclasses import asdict
from typing import Any

import click

from commands.database import show_json, show_rows
from models.rehearsals import Rehearsal, RehearsedEvent, RehearsedPayment, Stands
from models.states import Verification
from psps.free_texts import mask_free, mask_rows

PAYMENT_COLUMNS = ("psp", "psp_payment_id", "payment", "now", "after", "notifications", "events")
EVENT_COLUMNS = ("id", "psp", "event_key", "received_at", "now", "signature", "after", "decisions")
SIGNATURES = {
    Verification.FITS: "fits",
    Verification.RECORDED: "cannot be asked again; its key is active",
    Verification.OURS: "an answer to our call",
    Verification.ROTATED: "fits no active secret: the key was rotated",
    Verification.ALTERED: "what is stored is not what came",
    Verification.LOCKED: "sealed, and its payload key is not here",
}


def show_rehearsal(rehearsal: Rehearsal, as_json: bool) -> None:
    """Which payments would change and how, and how every event would end."""
    if as_json:
        payments = [asdict(one) | {"changes": one.changes} for one in rehearsal.payments]
        show_json(mask_rows(asdict(rehearsal) | {"payments": payments}))
        return
    changing, going = rehearsal.changing, [one for one in rehearsal.events if one.goes]
    click.echo(f"nothing was changed; {len(going)} of {len(rehearsal.events)} events would go again,")
    click.echo(f"and these {len(changing)} payments would change:" if changing else "and no payment would change")
    if changing:
        show_rows([_show_payment(one, rehearsal) for one in changing], PAYMENT_COLUMNS, "")
    click.echo()
    show_rows([_show_event(one) for one in rehearsal.events], EVENT_COLUMNS, "no events fit")
    if not rehearsal.is_whole:
        click.echo(f"there are more: these are the first {len(rehearsal.events)}")
    if rehearsal.unread:
        click.echo(
            f"{rehearsal.unread} events could not be read: their payload was dropped or erased, or its key is not here. What they"
            " would change is not known"
        )
    _explain_rotated(rehearsal)


def _explain_rotated(rehearsal: Rehearsal) -> None:
    rotated = sum(one.verification is Verification.ROTATED and not one.goes for one in rehearsal.events)
    if rotated:
        click.echo(
            f"{rotated} events are left: no active secret fits their signature any more (key rotated). It fitted when they came;"
            " --accept-recorded-verification takes that for good"
        )


def _show_payment(one: RehearsedPayment, rehearsal: Rehearsal) -> dict[str, Any]:
    about = [event.id for event in rehearsal.events if any(d.payment_id == one.id for d in event.decisions)]
    return {
        "psp": one.psp,
        "psp_payment_id": one.psp_payment_id,
        "payment": one.id if one.before else "(new)",
        "now": tell_stands(one.before) if one.before else "not there",
        "after": tell_stands(one.after),
        "notifications": one.notifications,
        "events": ", ".join(map(str, about)),
    }


def _show_event(one: RehearsedEvent) -> dict[str, Any]:
    decisions = [f"{d.kind} {d.outcome}" + (f" ({mask_free(d.reason)})" if d.reason else "") for d in one.decisions]
    return {
        "id": one.id,
        "psp": one.psp,
        "event_key": one.event_key,
        "received_at": one.received_at,
        "now": f"{one.status}: {mask_free(one.reason)}",
        "signature": "comes along" if one.comes_along else SIGNATURES[one.verification],
        "after": one.result if one.goes else f"left ({one.result})",
        "decisions": "; ".join(decisions),
    }


def tell_stands(stands: Stands) -> str:
    """`completed 150.00/50.00 MXN`: state, received, and refunded where something was."""
    money = _tell_money(stands.received_minor) + (
        f"/{_tell_money(stands.refunded_minor)}" if stands.refunded_minor else ""
    )
    return f"{stands.state} {money} {stands.currency or ''}".rstrip()


def _tell_money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"
