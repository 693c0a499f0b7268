"""Which operators there are and what they may do, for admins. New operators and passwords are made on the command line."""

from typing import Any
from uuid import UUID

from flask import abort, redirect, render_template, request, url_for

from ingress.console.dependencies import deps
from ingress.console.guard import NEEDED, needs, signed_in
from ingress.console.pages import ADMIN, LONGEST_REASON, blueprint
from models.operators import NewAction, OperatorRepository, StoredOperator
from models.states import OperatorAction, OperatorRole

MOST_SHOWN = 500
SAID = {
    "role": "The role is changed.",
    "disable": "The operator is disabled.",
    "enable": "The operator can log in again.",
}
ONESELF = "another admin has to do this: nobody changes what they may do themselves"


@blueprint.get("/operators")
@needs(ADMIN)
def list_operators() -> str:
    """By address."""
    with deps().open_front_work() as work:
        operators = work.operators.list_all(MOST_SHOWN)
    return render_template("console/operators.html", operators=operators, roles=list(OperatorRole))


@blueprint.post("/operators/<uuid:operator_id>")
@needs(ADMIN)
def change_operator(operator_id: UUID) -> Any:
    """Give a role, disable or enable, for a reason that is written down in the same transaction. Open sessions end."""
    action, role = request.form.get("action", ""), request.form.get("role", "")
    why = request.form.get("why", "").strip()[:LONGEST_REASON]
    if action not in SAID or (action == "role" and role not in list(OperatorRole)):
        abort(400, "there is nothing at this address")
    if not why:
        return redirect(url_for("console.list_operators", said="A reason is needed."))
    if operator_id == signed_in().operator.id:
        abort(403, ONESELF)
    with deps().open_front_work() as work:
        both = work.operators.lock([operator_id, signed_in().operator.id])
        actor = both[signed_in().operator.id]
        if actor.disabled_at or actor.role is not ADMIN:  # meanwhile
            abort(403, NEEDED[ADMIN])
        operator = both.get(operator_id) or abort(404, "there is no such operator")
        if _is_so(operator, action, role):
            return redirect(url_for("console.list_operators", said="Nothing was done."))
        details = _change(work.operators, operator, action, role)
        subject, now = f"operator {operator_id}", deps().clock()
        work.operators.log_action(
            NewAction(signed_in().operator.id, OperatorAction(f"operators.{action}"), subject, why, details, now)
        )
        work.commit()
    return redirect(url_for("console.list_operators", said=SAID[action]))


def _is_so(operator: StoredOperator, action: str, role: str) -> bool:
    if action == "role":
        return operator.role == role
    return bool(operator.disabled_at) == (action == "disable")


def _change(operators: OperatorRepository, operator: StoredOperator, action: str, role: str) -> dict[str, Any]:
    """What the log keeps of it."""
    if action == "role":
        operators.change(operator.id, role=OperatorRole(role))
        return {"from": operator.role.value, "role": role}
    if action == "disable":
        operators.change(operator.id, disabled_at=deps().clock())
    else:
        operators.enable(operator.id)
    return {}
