"""The portal: /cep/valida.do takes the form, /cep/descarga.do gives the proof to whoever brings the cookie of it.

A payment is found under the day in Mexico City on which it was settled, and not under its operating date. After too
many calls, valida.do asks for a captcha and descarga.do says so.
"""

import secrets
from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response, abort, request

from sandbox.answers import answer
from sandbox.cep.objects import find_parties, is_settled, list_state, proof_xml, settled_at
from sandbox.cep.pages import CAPTCHA, DOWNLOAD, FAILURE, MISSING, QUOTA, state_page
from sandbox.cep.switches import CepSwitches
from sandbox.payment import SimulatedPayment
from sandbox.state import SandboxState
from sandbox.stp.objects import pesos_text

SESSION, BALANCER = "JSESSIONID", "Hex39764011"


def make_portal(state: SandboxState) -> Blueprint:
    portal = Blueprint("cep", __name__, url_prefix="/cep")

    @portal.post("/valida.do")
    def ask() -> Response:
        with state.lock:
            if not state.cep.take_call():
                return _open_session(state, _show(CAPTCHA), None)
            payment = _find(state)
            if payment is None:
                return _open_session(state, _show(MISSING), None)
            if state.cep.is_withheld or not is_settled(payment):
                return _open_session(state, _show(state_page(list_state(payment))), None)
            return _open_session(state, _show(DOWNLOAD), payment)

    @portal.get("/descarga.do")
    def download() -> Response:
        with state.lock:
            if not state.cep.take_call():
                return _show(QUOTA)
            payment_id = state.cep.sessions.get(request.cookies.get(SESSION, ""))
            payment = state.find("stp", payment_id) if payment_id else None
        if payment is None or BALANCER not in request.cookies:
            return _show(FAILURE, 500)
        if request.args.get("formato") != "XML":
            abort(404)  # PDF and ZIP are not played
        return Response(proof_xml(payment), mimetype="application/xml")

    return portal


def add_cep_buttons(control: Blueprint, state: SandboxState) -> None:
    """/sandbox/cep: {calls_left?: whole number or null, withheld?: true or false}"""

    @control.get("/cep")
    def show_cep() -> Response:
        """{calls_left, withheld, calls: how many there were}"""
        with state.lock:
            return answer(_list_switches(state.cep))

    @control.put("/cep")
    def set_cep() -> Response:
        asked = request.get_json(silent=True)
        if not isinstance(asked, dict):
            abort(400)
        with state.lock:
            left, withheld = asked.get("calls_left", state.cep.calls_left), asked.get("withheld", state.cep.is_withheld)
            if not (left is None or type(left) is int) or type(withheld) is not bool:
                return answer({"error": "calls_left is a whole number or null, withheld true or false"}, 400)
            state.cep.calls_left, state.cep.is_withheld = left, withheld
        return show_cep()


def _list_switches(cep: CepSwitches) -> dict[str, int | bool | None]:
    return {"calls_left": cep.calls_left, "withheld": cep.is_withheld, "calls": cep.calls}


def _find(state: SandboxState) -> SimulatedPayment | None:
    form = request.form
    if (form.get("tipoCriterio"), form.get("tipoConsulta"), bool(form.get("captcha"))) != ("T", "1", True):
        return None
    named = [p for p in state.newest_first("stp") if p.ids["tracking_key"] == form.get("criterio")]
    return next((payment for payment in named if _is_meant(payment)), None)


def _is_meant(payment: SimulatedPayment) -> bool:
    sender, receiver, _, account = find_parties(payment)
    known = {
        "fecha": f"{settled_at(payment):%d-%m-%Y}",
        "emisor": sender,
        "receptor": receiver,
        "cuenta": account,
        "monto": pesos_text(payment.amount_minor),
        "receptorParticipante": "0",
    }
    return all(request.form.get(name) == value for name, value in known.items())


def _show(page: str, status: int = 200) -> Response:
    return Response(page, status, content_type="text/html; charset=UTF-8")


def _open_session(state: SandboxState, reply: Response, payment: SimulatedPayment | None) -> Response:
    """Every answer of the form sets the session's cookie, and the load balancer's, whose expiry has a comma in it."""
    session = secrets.token_urlsafe(36) + "!384618570"
    if payment:
        state.cep.sessions[session] = payment.id
    tomorrow = datetime.now(UTC) + timedelta(hours=8)
    reply.set_cookie(SESSION, session, secure=request.is_secure, httponly=True)
    reply.headers.add("Set-Cookie", f"{BALANCER}=!0J8cZ/xF5+Q==; expires={tomorrow:%a, %d-%b-%Y %H:%M:%S} GMT; path=/")
    return reply
