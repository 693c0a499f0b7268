"""What was set aside for a person, by its reason: looked at, processed again together, or dismissed."""

from contextlib import suppress
from typing import Any

from flask import abort, redirect, render_template, request, url_for

from ingress.console.again import Again, set_going
from ingress.console.dependencies import deps
from ingress.console.guard import needs, signed_in
from ingress.console.pages import LONGEST_REASON, OPERATOR, PAGE, VIEWER, blueprint
from models.operators import NewAction
from models.states import OperatorAction

AT_ONCE = 500  # the oldest first; who wants more asks again


@blueprint.get("/parked")
@needs(VIEWER)
def show_parked() -> str:
    """Groups by PSP and reason, the most first."""
    with deps().open_front_work() as work:
        groups = work.reader.group_parked(PAGE)
    return render_template("console/parked.html", groups=groups, at_once=AT_ONCE)


@blueprint.post("/parked")
@needs(OPERATOR)
def act_on_parked() -> Any:
    """Have a group processed again or dismiss it, for a reason that is written down in the same transaction."""
    psp, reason, why = (request.form.get(name, "").strip() for name in ("psp", "reason", "why"))
    action = request.form.get("action")
    if action not in ("replay", "dismiss"):
        abort(400, "there is nothing at this address")
    if not why:
        return redirect(url_for("console.show_parked", said="A reason is needed."))
    now = deps().clock()
    with deps().open_front_work() as work:
        ids = work.reader.list_parked_for(psp, reason, AT_ONCE)
        again = set_going(work, ids, now) if action == "replay" else None
        done = again.going if again else work.waiting.dismiss(ids)
        if done:
            details = {"reason": reason, "events": sorted(done)} | (again.details if again else {})
            who = signed_in().operator.id
            work.operators.log_action(
                NewAction(who, OperatorAction(f"events.{action}"), f"parked {psp}", why[:LONGEST_REASON], details, now)
            )
        work.commit()
    if again:
        with suppress(Exception):  # the sweep rings again
            deps().publish(again.going)
    return redirect(url_for("console.show_parked", said=_tell_done(done, again)))


def _tell_done(done: list[int], again: Again | None) -> str:
    if again and again.refused:
        return "What is not stored as it came, or cannot be opened, was left."
    if not done:
        return "Nothing was done."
    return "They are processed again." if again else "They are dismissed."
