"""Our own buttons on the sandbox, for this machine alone: send a life cycle, flood, ask what must be true now."""

import ipaddress
import time
from dataclasses import asdict
from typing import Any

from flask import Blueprint, Response, abort, request

from sandbox.answers import answer
from sandbox.api_faults import EVERY_PSP
from sandbox.cep.portal import add_cep_buttons
from sandbox.faults import Faults
from sandbox.flows import SIMULATORS, UnknownFlow, list_flows, play_flow, play_mixture
from sandbox.merchant import add_inbox_buttons
from sandbox.payment import Played, SimulatedPayment
from sandbox.runs import run
from sandbox.sender import Route
from sandbox.state import SandboxState


def make_control(state: SandboxState) -> Blueprint:
    control = Blueprint("control", __name__, url_prefix="/sandbox")
    control.register_error_handler(UnknownFlow, lambda error: answer({"error": str(error)}, 400))

    @control.before_request
    def refuse_strangers() -> None:
        if not request.remote_addr or not ipaddress.ip_address(request.remote_addr).is_loopback:
            abort(403)

    _add_records(control, state)
    _add_buttons(control, state)
    _add_faults(control, state)
    add_inbox_buttons(control, state)
    add_cep_buttons(control, state)
    return control


def _add_records(control: Blueprint, state: SandboxState) -> None:
    @control.get("/flows")
    def show_flows() -> Response:
        return answer(list_flows())

    @control.get("/expected")
    def show_expected() -> Response:
        with state.lock:
            return answer([asdict(expected) for expected in state.expected.values()])

    @control.get("/effects")
    def show_effects() -> Response:
        """What really happened at the simulated PSPs, in order: [Effect, ...]"""
        return answer(state.effects.list_all())

    @control.get("/payments")
    def show_payments() -> Response:
        """What every simulated PSP knows of its payments."""
        with state.lock:
            return answer([asdict(payment) for payments in state.payments.values() for payment in payments.values()])

    @control.put("/payments")
    def take_payments() -> Response:
        """Payments that were played elsewhere, so that the simulated APIs answer for them: [SimulatedPayment, ...]"""
        with state.lock:
            for fields in request.get_json():
                state.add(SimulatedPayment(**fields))
        return answer({})


def _add_buttons(control: Blueprint, state: SandboxState) -> None:
    @control.post("/send")
    def send_flow() -> Response:
        """{flow, psp?, count?, payment_id? or payment_ids?, and the faults} -> {report, expected}"""
        asked = _asked()
        psp, name = asked.get("psp"), str(asked.get("flow"))
        ids = asked.get("payment_ids") or [asked.get("payment_id")] * int(asked.get("count", 1))
        with state.lock:
            payments = {payment_id: state.find(psp or "", payment_id) if payment_id else None for payment_id in ids}
            if unknown := [payment_id for payment_id, found in payments.items() if payment_id and not found]:
                return answer({"error": f"the sandbox has no payment {unknown[0]} of {psp}"}, 404)
            played = [play_flow(name, state.names, int(time.time()), psp, payments[payment_id]) for payment_id in ids]
            state.remember(played)
        return _run(state, played, asked)

    @control.post("/flood")
    def flood() -> Response:
        """{count, psps?, connections?, seed?, and the faults} -> {report, expected}"""
        asked = _asked()
        psps = asked.get("psps") or list(SIMULATORS)
        if unknown := set(psps) - set(SIMULATORS):
            raise UnknownFlow(f"the sandbox has no PSP {', '.join(sorted(unknown))}")
        with state.lock:
            try:
                played = play_mixture(int(asked.get("count", 100)), psps, state.names, int(time.time()))
            except ValueError as error:
                return answer({"error": str(error)}, 400)
            state.remember(played)
        return _run(state, played, asked)


def _add_faults(control: Blueprint, state: SandboxState) -> None:
    faults = state.api_faults

    @control.get("/faults")
    def show_faults() -> Response:
        """{rates: {psp: {kind: rate}}, counts: {psp: {kind: count}}, visits: of the address that redirects name}"""
        return answer({"rates": faults.rates(), "counts": faults.counts(), "visits": faults.visits()})

    @control.put("/faults")
    def set_faults() -> Response:
        """{psp?, rates, seconds?, seed?}; without a PSP it is all of them"""
        asked = _asked()
        rates = asked.get("rates")
        if not isinstance(rates, dict):
            return answer({"error": "rates must be an object: the share of the calls by kind of fault"}, 400)
        more = {name: asked[name] for name in ("seconds", "seed") if name in asked}
        try:
            faults.set_rates(str(asked.get("psp", EVERY_PSP)), rates, **more)
        except ValueError as error:
            return answer({"error": str(error)}, 400)
        return show_faults()

    @control.delete("/faults")
    def clear_faults() -> Response:
        faults.clear()
        return show_faults()

    @control.route("/visited", methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
    def count_visit() -> Response:
        """Where redirects lead."""
        faults.note_visit()
        return answer({})


def _asked() -> dict[str, Any]:
    asked = request.get_json(silent=True)
    if not isinstance(asked, dict):
        abort(400)
    return asked


def _run(state: SandboxState, played: list[Played], asked: dict[str, Any]) -> Response:
    faults = Faults(**{name: asked[name] for name in Faults.__dataclass_fields__ if name in asked})
    route = Route(
        asked.get("target", state.target),
        state.keys,
        int(asked.get("connections", 8)),
        deadline=asked.get("deadline", 60),
    )
    finished = run(played, faults, int(asked.get("seed", state.names.seed)), route)
    return answer({"report": finished.report.as_dict(), "expected": finished.expected})
