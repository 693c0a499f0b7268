"""Differences between us and PSPs: listed, shown side by side, and decided about by a person."""

from contextlib import suppress
from typing import Any

from flask import abort, redirect, render_template, request, url_for

from ingress.console.asked import LARGEST_ID, read_before
from ingress.console.dependencies import deps
from ingress.console.formats import show_free
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from ingress.console.reconciling_words import KINDS, REFUSED_BY_THE_DOOR, name_word
from ingress.console.sides import Told, find_sides, lay_beside
from models.console_reading import ConsoleReader, DifferencePage, WantedDifferences
from models.operators import NewAction
from models.reading import NotFound, Row
from models.states import EvidenceKind, Healing, OperatorAction, Witness
from models.unit_of_work import Contention, UnitOfWork

OPEN, CLOSED = "open", "closed"
STATUSES = (OPEN, Healing.PROPOSED.value, Healing.SENT.value, Healing.REFUSED.value, CLOSED)
DONE = {"approve": "It is being healed by the PSP's own answer.", "dismiss": "It is taken as it is, and is over."}
TOO_LATE = "Nothing was done: it has been decided or is over already."
LOCKED = "Nothing was done: the PSP's answer cannot be opened with the keys that are here."
IN_THE_WAY = "Nothing was done: somebody else is deciding at this moment."
blueprint.add_app_template_filter(name_word, "named")


@blueprint.get("/discrepancies")
@needs(VIEWER)
def list_discrepancies() -> str:
    """By PSP, kind and status, open ones first; of each the newest first."""
    asked = {name: request.args.get(name, "").strip() for name in ("psp", "kind", "status")}
    asked["status"] = asked["status"] if asked["status"] in STATUSES else ""
    with deps().open_front_work() as work:
        reader = ConsoleReader(work.connection)
        first = _list(reader, asked, asked["status"] or OPEN, read_before())
        is_all = not asked["status"] and first.older is None
        then = _list(reader, asked, CLOSED, LARGEST_ID) if is_all else None
    last = then or first
    older = {**asked, "status": CLOSED if then else asked["status"], "before": last.older} if last.older else None
    psps = sorted({psp for psp, _ in deps().accounts})
    return render_template(
        "console/discrepancies.html",
        first=first.rows,
        then=then.rows if then else None,
        asked=asked,
        psps=psps,
        kinds=KINDS,
        statuses=STATUSES,
        older=older,
    )


def _list(reader: ConsoleReader, asked: dict[str, str], status: str, before: int) -> DifferencePage:
    healing = status if status not in (OPEN, CLOSED) else None
    wanted = WantedDifferences(asked["psp"] or None, asked["kind"] or None, healing, status != CLOSED)
    return reader.list_differences(wanted, before, PAGE)


@blueprint.get("/discrepancies/<int:discrepancy_id>")
@needs(VIEWER)
def show_discrepancy(discrepancy_id: int) -> str:
    """One difference: ours beside the PSP's, who said so, and what was decided."""
    with deps().open_front_work() as work:
        found = _get(work, discrepancy_id)
        actions = work.operators.list_actions(f"discrepancy {discrepancy_id}", PAGE)
        payment_id = found["payment_id"]
        payment = work.our_side.find_by_id([payment_id]).get(payment_id) if payment_id else None
    books = deps().bookkeeping
    ours, theirs = find_sides(books, found, payment)
    told = [Told(name_word(found["witness"], "witnesses"), None, theirs)]
    return render_template(
        "console/discrepancy.html",
        found=found,
        told=told,
        rows_of_sides=lay_beside(books, ours, told),
        currency=ours.get("currency") or theirs.get("currency") or "",
        why=show_free(found["decided_why"]),
        refused_by_the_door=REFUSED_BY_THE_DOOR,
        actions=actions,
        may_approve=_may_approve(found),
        may_dismiss=found["closed_at"] is None and found["healing"] != Healing.SENT,
    )


def _get(work: UnitOfWork, discrepancy_id: int) -> Row:
    with suppress(NotFound):
        if discrepancy_id <= LARGEST_ID:
            return work.difference_reader.get(discrepancy_id)
    return abort(404, "there is no such discrepancy")


def _may_approve(found: Row) -> bool:
    """As lock_proposals has it."""
    has_answer = any(one["kind"] == EvidenceKind.PSP for one in found["evidence"])
    waits = found["closed_at"] is None and found["healing"] == Healing.PROPOSED
    return waits and has_answer and found["source"] == Witness.RECONCILIATION


@blueprint.post("/discrepancies/<int:discrepancy_id>/<any(approve, dismiss):action>")
@needs(OPERATOR)
def decide_discrepancy(discrepancy_id: int, action: str) -> Any:
    """Heal it or take it as it is, for a reason that is written down in the same transaction. Who comes second is told so."""
    why = request.form.get("why", "").strip()[:LONGEST_REASON]
    if not why:
        return _lead_back(discrepancy_id, "A reason is needed.")
    events: list[int] = []
    try:
        with deps().open_front_work() as work:
            found = _get(work, discrepancy_id)
            is_done, events = _decide(work, discrepancy_id, action, why)
            work.commit()
            is_locked = action == "approve" and not is_done and _is_locked(work, found)
    except Contention:
        return _lead_back(discrepancy_id, IN_THE_WAY)
    if events:
        with suppress(Exception):  # the sweep rings again
            deps().publish(events)
    return _lead_back(discrepancy_id, DONE[action] if is_done else LOCKED if is_locked else TOO_LATE)


def _is_locked(work: UnitOfWork, found: Row) -> bool:
    """Whether it waits for an answer of the PSP that cannot be opened."""
    return _may_approve(found) and (EvidenceKind.PSP, None) in work.difference_reader.list_bodies(found["id"])


def _decide(work: UnitOfWork, discrepancy_id: int, action: str, why: str) -> tuple[bool, list[int]]:
    """Whether it was still to be decided, and the events to ring for."""
    now, who, events = deps().clock(), signed_in().operator, list[int]()
    if action == "approve":
        done, events = deps().bookkeeping.approve(work, [discrepancy_id], who.email, why, now)
    else:
        done = sorted(work.healing.dismiss([discrepancy_id], who.email, why, now))
    if done:
        details = {"events": events}
        subject = f"discrepancy {discrepancy_id}"
        work.operators.log_action(
            NewAction(who.id, OperatorAction(f"discrepancies.{action}"), subject, why, details, now)
        )
    return bool(done), events


def _lead_back(discrepancy_id: int, said: str) -> Any:
    return redirect(url_for("console.show_discrepancy", discrepancy_id=discrepancy_id, said=said))
