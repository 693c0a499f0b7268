"""STP's webhooks: sendAbono for money that came in, cambioEstado for money that we sent. Nothing signs the body."""

import base64
import unicodedata
from collections.abc import Mapping
from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment, Step
from sandbox.stp.objects import STP_BANK, milliseconds, pesos, pesos_text

COMPANY = "EMPRESA_PRUEBA"
OLD_NAMES = {"id": "Clave"}  # the older contract otherwise writes the same names with a capital
ONLY_NEW = ("tipoPago", "tsLiquidacion")


def build(payment: SimulatedPayment, step: Step, at: int, names: Identity) -> tuple[str, bytes]:
    """What stands for an event id, written as the inbox writes it, and the body. STP itself sends no event id."""
    if step.event == "cambioEstado":
        event_key = f"status:{payment.ids['number']}:{step.detail.lower()}"
        return event_key, orjson.dumps(_state_change(payment, step, at))
    return f"deposit:{payment.id}", orjson.dumps(CONTRACTS[step.detail](_deposit(payment, step, at), payment))


def _deposit(payment: SimulatedPayment, step: Step, at: int) -> dict[str, Any]:
    return {
        "id": int(payment.ids["number"]),
        "fechaOperacion": int(payment.ids["day"]),
        "institucionOrdenante": int(payment.ids["bank"]),
        "institucionBeneficiaria": int(STP_BANK),
        "claveRastreo": payment.ids["tracking_key"],
        "monto": pesos(payment.amount_minor),
        "nombreOrdenante": fold_to_ascii(payment.payer).upper(),
        "tipoCuentaOrdenante": 40,
        "cuentaOrdenante": payment.ids["payer_clabe"],
        "rfcCurpOrdenante": "ND",
        "nombreBeneficiario": "COMERCIO SA DE CV",
        "tipoCuentaBeneficiario": 40,
        "cuentaBeneficiario": payment.ids["clabe"],
        "rfcCurpBeneficiario": "ND",
        "conceptoPago": f"PEDIDO {payment.reference}",
        "referenciaNumerica": int(payment.ids["numeric_reference"]),
        "empresa": COMPANY,
        "tipoPago": 1,
        "tsLiquidacion": str(milliseconds(at)),
    }


def _plain(deposit: dict[str, Any], payment: SimulatedPayment) -> dict[str, Any]:
    return deposit


def _as_text(deposit: dict[str, Any], payment: SimulatedPayment) -> dict[str, Any]:
    """The spelling of some accounts: amount, day and institutions as strings."""
    texts = {name: str(deposit[name]) for name in ("id", "fechaOperacion", "institucionOrdenante", "tipoPago")}
    return deposit | texts | {"monto": pesos_text(payment.amount_minor)}


def _old_contract(deposit: dict[str, Any], payment: SimulatedPayment) -> dict[str, Any]:
    return {
        OLD_NAMES.get(name, name[0].upper() + name[1:]): value
        for name, value in deposit.items()
        if name not in ONLY_NEW
    }


def _our_money_back(deposit: dict[str, Any], payment: SimulatedPayment) -> dict[str, Any]:
    """An incoming transfer that is the return of a payout of ours, not a customer's deposit."""
    return deposit | {"tipoPago": 0}


CONTRACTS = {"": _plain, "text": _as_text, "old": _old_contract, "return": _our_money_back}


def _state_change(payment: SimulatedPayment, step: Step, at: int) -> dict[str, Any]:
    settled = step.detail in ("Success", "LIQUIDACION")
    return {
        "id": int(payment.ids["number"]),
        "empresa": COMPANY,
        "folioOrigen": payment.reference,
        "estado": step.detail,
        "causaDevolucion": "1" if step.detail == "Refund" else "",
        "tsLiquidacion": str(milliseconds(at)) if settled else "0",
    }


def fold_to_ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def sign(body: bytes, keys: Mapping[str, Any], sent_at: int) -> dict[str, str]:
    """HTTP Basic, agreed at onboarding: all that STP sends beside its address."""
    credentials = base64.b64encode(f"{keys['user']}:{keys['password']}".encode()).decode()
    return {"Content-Type": "application/json", "Authorization": f"Basic {credentials}"}


def send_again(body: bytes, times_failed: int) -> bytes:
    """STP repeats a message as it was."""
    return body


def spoil(headers: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """A forged delivery: someone who does not know the password."""
    stranger = base64.b64encode(b"stp-webhook:not-the-password").decode()
    return headers | {"Authorization": f"Basic {stranger}"}, body
