"""A payment of the simulated STP as Banxico has it: both banks, the days, and the proof as XML."""

import base64
from datetime import datetime
from html import escape
from zoneinfo import ZoneInfo

from sandbox.payment import SimulatedPayment
from sandbox.stp.objects import STP_BANK, pesos_text

MEXICO_CITY = ZoneInfo("America/Mexico_City")
BANK_NAMES = {
    "40002": "BANAMEX",
    "40012": "BBVA MEXICO",
    "40014": "SANTANDER",
    "40021": "HSBC",
    "40072": "BANORTE",
    STP_BANK: "STP",
}
# STP's words for a payment, as Banxico says them; LQ and TLQ are the settled ones.
STATES = {"LQ": "Liquidado", "TLQ": "Liquidado", "D": "Devuelto", "CN": "Cancelado", "L": "En proceso"}
CERTIFICATE = "00000100000100099999"
SEAL = base64.b64encode(b"\x01" * 256).decode()
# What stands behind the amount in the sealed text of an ordinary transfer.
REST = ["NA", "NA", "0", "0", "NA", "0", "0.00", *["NA"] * 16]


def settled_at(payment: SimulatedPayment) -> datetime:
    """In Mexico City."""
    return datetime.fromtimestamp(payment.updated or payment.created, MEXICO_CITY)


def is_settled(payment: SimulatedPayment) -> bool:
    return payment.status in ("LQ", "TLQ")


def find_parties(payment: SimulatedPayment) -> tuple[str, str, str, str]:
    """Sender, receiver, the payer's account, the beneficiary's account."""
    theirs, ours = payment.ids["payer_clabe"], payment.ids["clabe"]
    if payment.instrument == "deposit":
        return payment.ids["bank"], STP_BANK, theirs, ours
    return STP_BANK, payment.ids["bank"], ours, theirs


def list_state(payment: SimulatedPayment) -> dict[str, str]:
    """The rows of the page of a payment without proof."""
    sender, receiver, _, account = find_parties(payment)
    return {
        "Número de Referencia": payment.ids["numeric_reference"],
        "Clave de Rastreo": payment.ids["tracking_key"],
        "Institución emisora del pago": BANK_NAMES.get(sender, sender),
        "Institución receptora del pago": BANK_NAMES.get(receiver, receiver),
        "Estado del pago en Banxico": STATES.get(payment.status, "No liquidado"),
        "Fecha y hora de procesamiento": f"{settled_at(payment):%d/%m/%Y %H:%M:%S}",
        "Cuenta Beneficiaria": account,
        "Monto": pesos_text(payment.amount_minor),
    }


def proof_xml(payment: SimulatedPayment) -> str:
    """The proof: attributes, and the same joined by "|" in the text that the receiving bank seals."""
    at, day = settled_at(payment), payment.ids["day"]
    sender, receiver, payer_account, account = find_parties(payment)
    people = [payment.payer.upper(), "COMERCIO SA DE CV"]
    payer, beneficiary = people if payment.instrument == "deposit" else people[::-1]
    concept, amount = f"PEDIDO {payment.reference}"[:40], pesos_text(payment.amount_minor)
    paying = [BANK_NAMES.get(sender, sender), payer, "40", payer_account, "ND"]
    paid = [BANK_NAMES.get(receiver, receiver), beneficiary, "40", account, "ND"]
    head = ["1", day[6:] + day[4:6] + day[:4], f"{at:%d%m%Y}", f"{at:%H%M%S}", receiver]
    sealed = [*head, *paying, *paid, concept, "0.00", amount, *REST, CERTIFICATE, "", SEAL]
    top = {
        "FechaOperacion": f"{day[:4]}-{day[4:6]}-{day[6:]}",
        "Hora": f"{at:%H:%M:%S}",
        "ClaveSPEI": receiver,
        "sello": SEAL,
        "numeroCertificado": CERTIFICATE,
        "cadenaCDA": "||" + "|".join(sealed),
        "claveRastreo": payment.ids["tracking_key"],
    }
    names = ("Nombre", "TipoCuenta", "Cuenta", "RFC")
    received = dict(zip(("BancoReceptor", *names), paid, strict=True))
    received |= {"Concepto": concept, "IVA": "0.00", "MontoPago": amount}
    sent = dict(zip(("BancoEmisor", *names), paying, strict=True))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\r\n'
        f"<SPEI_Tercero {_attributes(top)}>\r\n"
        f"    <Beneficiario {_attributes(received)}/>\r\n"
        f"    <Ordenante {_attributes(sent)}/>\r\n"
        "</SPEI_Tercero>"
    )


def _attributes(values: dict[str, str]) -> str:
    return " ".join(f'{name}="{escape(value)}"' for name, value in values.items())
