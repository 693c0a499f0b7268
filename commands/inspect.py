"""`acuse events`, `acuse payments` and `acuse audit`: look things up, set them going again, check the promises."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from bootstrap_starting import utc_now
from commands.database import open_work, show_json, show_rows, stack_config
from commands.replay import replay
from commands.terms import data_dir_option, fail, json_option, limit_option, read_since
from models.payload_reading import Payload, PayloadReader
from models.reading import NotFound
from models.states import InboxStatus, PaymentState
from psps.free_texts import mask_rows
from psps.masking import mask_body, mask_headers
from workers.state_machine import MOVES

EVENT_COLUMNS = ("id", "psp", "event_key", "status", "reason", "received_at")
PAYMENT_COLUMNS = ("psp", "psp_payment_id", "method", "state", "amount_minor", "received_minor", "refunded_minor")
ATTEMPT_COLUMNS = ("created_at", "operation", "status", "amount_minor", "sends", "queries", "error_code", "psp_ref")
DECISION_COLUMNS = ("occurred_at", "event_id", "kind", "from_state", "to_state", "outcome", "reason")


@click.group()
def events() -> None:
    """Look at stored deliveries and replay what was set aside."""


@events.command("list")
@click.option("--psp", help="Of this PSP alone.")
@click.option("--status", type=click.Choice([status.value for status in InboxStatus]), help="In this status alone.")
@limit_option
@data_dir_option
@json_option
def list_events(psp: str | None, status: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List events, the newest first."""
    with open_work(stack_config(data_dir)) as work:
        rows = mask_rows(work.reader.list_events(psp, status, limit))
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, EVENT_COLUMNS, "no events")


@events.command("show")
@click.argument("event_id", type=int)
@click.option("--body", "with_body", is_flag=True, help="Also what arrived, without the people in it.")
@data_dir_option
@json_option
def show_event(event_id: int, with_body: bool, data_dir: Path, as_json: bool) -> None:
    """Show one event and what was decided about it."""
    with open_work(stack_config(data_dir)) as work:
        payload = PayloadReader(work.connection).get(event_id) if with_body else None
        masked = {"payload_masked": _mask(payload)} if payload else {}
        _show(lambda: work.reader.get_event(event_id) | masked, "decisions", as_json)


events.add_command(replay)


@click.group()
def payments() -> None:
    """Look at payments and their stories."""


@payments.command("list")
@click.option("--psp", help="Of this PSP alone.")
@click.option("--state", type=click.Choice([state.value for state in PaymentState]), help="In this state alone.")
@limit_option
@data_dir_option
@json_option
def list_payments(psp: str | None, state: str | None, limit: int, data_dir: Path, as_json: bool) -> None:
    """List payments, the newest first. Amounts are in minor units (centavos)."""
    with open_work(stack_config(data_dir)) as work:
        rows = work.reader.list_payments(psp, state, limit)
    if as_json:
        show_json(rows)
    else:
        show_rows(rows, PAYMENT_COLUMNS, "no payments")


@payments.command("show")
@click.argument("payment_id")
@data_dir_option
@json_option
def show_payment(payment_id: str, data_dir: Path, as_json: bool) -> None:
    """Show one payment, by our id or the PSP's, with every decision about it."""
    with open_work(stack_config(data_dir)) as work:
        _show(lambda: work.reader.get_payment(payment_id), "transitions", as_json)


@click.command()
@click.option(
    "--since", type=read_since, metavar="TIME", help="Check what came and was decided since then (7d, 12h, 2026-11-20)."
)
@click.option(
    "--chain", is_flag=True, help="Also compute the digest of every transition anew: was one changed by hand?"
)
@data_dir_option
@json_option
def audit(since: datetime | None, chain: bool, data_dir: Path, as_json: bool) -> None:
    """Check the invariants on the live database: all of it is read, unless --since says from when on. Exit 1 if one is broken."""
    with open_work(stack_config(data_dir)) as work:
        findings = work.audit(utc_now(), [(str(a), str(kind), str(b)) for a, kind, b in MOVES], since, chain)
    broken = [finding for finding in findings if finding.broken]
    if as_json:
        show_json({"ok": not broken, "invariants": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            mark = click.style("broken", fg="red") if finding.broken else click.style("holds", fg="green")
            click.echo(f"{finding.invariant}  {mark}  {finding.says}")
            if finding.broken:
                click.echo(f"      {finding.broken} rows, for example {', '.join(finding.examples)}")
    sys.exit(1 if broken else 0)


def _mask(payload: Payload) -> dict[str, Any]:
    if payload.locked:
        return {"locked": payload.locked}
    return {"headers": mask_headers(dict(payload.headers)), "body": mask_body(payload.body, payload.content_type)}


def _show(get: Any, story: str, as_json: bool) -> None:
    try:
        found = mask_rows(get())
    except NotFound as error:
        fail(str(error))
    if as_json:
        show_json(found)
        return
    for name, value in found.items():
        if not isinstance(value, list | dict) and value is not None:
            click.echo(f"{name:<20}{value}")
    click.echo()
    if payload := found.get("payload_masked"):
        for name, value in payload.get("headers", {}).items():
            click.echo(f"{name}: {value}")
        click.echo(f"\n{payload.get('body') or payload.get('locked', '')}\n")
    show_rows(found[story], DECISION_COLUMNS, "no decisions yet")
    calls = found.get("attempts")  # of a payment; an event's are a number
    if calls and isinstance(calls, list):
        click.echo()
        show_rows(calls, ATTEMPT_COLUMNS, "")
    for one in found.get("discrepancies", []):
        state = f"closed: {one['closed_reason']}" if one["closed_at"] else "open"
        opener = f"event {one['event_id']}" if one["event_id"] else "found by reconciliation"
        click.echo(f"discrepancy {one['id']} ({one['kind']}, {state}), {opener}")
