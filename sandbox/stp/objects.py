"""STP's orders: deposits that came to us and payouts that we sent, with the rows of its look-ups."""

from typing import Any

import orjson

from sandbox.identity import Identity
from sandbox.payment import SimulatedPayment
from sandbox.stp.operating_day import operating_day

RETURN_CAUSE = "1"  # Banxico's "no such account"
OUR_MONEY_BACK = "return"  # the detail of an incoming transfer that brings back a payout of ours
BANKS = {"40002": "002", "40012": "012", "40014": "014", "40021": "021", "40072": "072"}  # Banxico code -> ABM code
STP_BANK = "90646"


def new_payment(
    names: Identity, instrument: str, created: int, amount_minor: int | None = None, reference: str | None = None
) -> SimulatedPayment:
    """A deposit, known by (ordering institution, tracking key, operating day), or a payout, known by STP's number.

    The numbers of deposits and payouts may be equal, so the payment id of a payout is written `order:<number>`.
    """
    bank = names.shape.choice(sorted(BANKS))
    number = names.number()
    day = operating_day(created).strftime("%Y%m%d")
    tracking_key = f"MBAN0100{day[2:]}{names.digits(12)}"
    return SimulatedPayment(
        psp="stp",
        id=f"{bank}:{tracking_key}:{day}" if instrument == "deposit" else f"order:{number}",
        instrument=instrument,
        amount_minor=amount_minor or names.amount_minor(100, 20_000_000),
        created=created,
        reference=reference or f"ord{number}",
        payer=names.person(),
        ids={
            "number": str(number),
            "bank": bank,
            "tracking_key": tracking_key,
            "day": day,
            "payer_clabe": names.clabe(BANKS[bank]),
            "clabe": names.clabe(),
            "numeric_reference": names.digits(6),
        },
        status="LQ" if instrument == "deposit" else "L",
        updated=created,
    )


def pesos(amount_minor: int) -> orjson.Fragment:
    """A JSON number with two decimals, written from integers."""
    return orjson.Fragment(pesos_text(amount_minor).encode())


def pesos_text(amount_minor: int) -> str:
    return f"{amount_minor // 100}.{amount_minor % 100:02d}"


def milliseconds(at: int) -> int:
    return at * 1000 + at % 997


def lookup_row(payment: SimulatedPayment, company: str) -> dict[str, Any]:
    """One order as consultaOrden and conciliacion tell it; STP pads some texts with blanks."""
    settled = payment.status in ("LQ", "TLQ")
    incoming = payment.instrument == "deposit"
    return {
        "idEF": int(payment.ids["number"]),
        "claveRastreo": payment.ids["tracking_key"],
        "conceptoPago": f"PEDIDO {payment.reference}".ljust(40),
        "cuentaBeneficiario": payment.ids["clabe" if incoming else "payer_clabe"],
        "cuentaOrdenante": payment.ids["payer_clabe" if incoming else "clabe"],
        "empresa": company,
        "estado": payment.status,
        "fechaOperacion": int(payment.ids["day"]),
        "institucionContraparte": payment.ids["bank"],
        "institucionOperante": STP_BANK,
        "monto": pesos(payment.amount_minor),
        "referenciaNumerica": int(payment.ids["numeric_reference"]),
        "tipoPago": 0 if payment.detail == OUR_MONEY_BACK else 1,
        "tsCaptura": milliseconds(payment.created),
        "tsLiquidacion": milliseconds(payment.updated) if settled else None,
        "causaDevolucion": RETURN_CAUSE if payment.status == "D" else None,
        "sello": None,
        "urlCEP": "https://www.banxico.org.mx/cep/go?sandbox=1",
    }
