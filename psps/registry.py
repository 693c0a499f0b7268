"""The one list of PSPs. Adding one is its folder and one entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from models.states import Method
from psps.base import EventsModule, SignatureModule
from psps.bitso import client as bitso_client
from psps.bitso import events as bitso_events
from psps.bitso import signature as bitso_signature
from psps.conekta import client as conekta_client
from psps.conekta import events as conekta_events
from psps.conekta import signature as conekta_signature
from psps.gate import Gate
from psps.mercadopago import client as mercadopago_client
from psps.mercadopago import events as mercadopago_events
from psps.mercadopago import signature as mercadopago_signature
from psps.moonpay import client as moonpay_client
from psps.moonpay import events as moonpay_events
from psps.moonpay import signature as moonpay_signature
from psps.openpay import client as openpay_client
from psps.openpay import events as openpay_events
from psps.openpay import signature as openpay_signature
from psps.outbound import Client, ClientSettings
from psps.stp import client as stp_client
from psps.stp import events as stp_events
from psps.stp import signature as stp_signature
from psps.stripe import client as stripe_client
from psps.stripe import events as stripe_events
from psps.stripe import signature as stripe_signature
from psps.transak import client as transak_client
from psps.transak import events as transak_events
from psps.transak import signature as transak_signature

CredentialKind = Literal["hmac", "pem", "basic", "key_ids", "tokens"]
OptionKind = Literal["text", "secret", "private_key", "url"]
# What a PSP's list of payments can be asked for: the time of the latest change, that of the creation, SPEI's operating
# dates alone; or it has no list that could be compared with. "created_whole": by creation, but the PSP filters by whole
# dates or is walked from the newest payment back, so that a part of a day costs as many calls as the whole.
ListsBy = Literal["updated", "created", "created_whole", "operating_day", "nothing"]


@dataclass(frozen=True, slots=True)
class Psp:
    """One PSP as the rest of Acuse sees it.

    `needs` are the variables (ACUSE_<PSP>_<NAME>) without which its client cannot be built, `takes` those that it can do
    without; both with what kind of value they hold.
    """

    name: str
    signature: SignatureModule
    events: EventsModule
    credential: CredentialKind  # which environment variables hold what verify() needs
    make_client: Callable[[ClientSettings, Gate], Client]
    lists_by: ListsBy
    api_url: str  # of production
    needs: dict[str, OptionKind]
    takes: dict[str, OptionKind]
    tolerates_time: bool = False  # verify() takes past_seconds and future_seconds
    past_seconds: int | None = 300  # how old a signed time may be, unless the account says otherwise; None: any age
    future_seconds: int | None = None  # how far ahead it may be, likewise; None: as the PSP's own SDK has it, no bound
    reply_moves_money: bool = False  # an HTTP 400 tells this PSP to send the payer's money back
    is_hint: bool = (
        False  # what it sends is not believed, only followed: the payment is fetched before anything is applied
    )
    signs_query: bool = False
    calls_per_second: float = 10.0  # of one account, over all processes
    unwrap: Callable[[bytes], bytes | None] | None = None  # the JSON hidden inside a body
    creates: tuple[Method, ...] = ()  # payments that its client can make
    cannot_refund: Mapping[Method, str] = field(default_factory=dict)  # what to do instead, by method
    cannot_cancel: str | None = None  # likewise


TRIO = (Method.OXXO, Method.SPEI, Method.CARD)
BY_PAYOUT = "the money cannot go back the way it came: send a SPEI payout to a CLABE of the payer"


def _never(instead: str) -> dict[Method, str]:
    return dict.fromkeys(Method, instead)


API_KEY: dict[str, OptionKind] = {"API_KEY": "secret"}

PSPS: dict[str, Psp] = {
    psp.name: psp
    for psp in (
        Psp(
            "stripe",
            stripe_signature,
            stripe_events,
            credential="hmac",
            make_client=stripe_client.StripeClient,
            lists_by="created",
            api_url="https://api.stripe.com",
            needs=API_KEY,
            takes={},
            tolerates_time=True,
            calls_per_second=25,
            creates=TRIO,
            cannot_refund={Method.OXXO: f"Stripe does not refund OXXO payments: {BY_PAYOUT}"},
        ),
        Psp(
            "conekta",
            conekta_signature,
            conekta_events,
            credential="pem",
            make_client=conekta_client.ConektaClient,
            lists_by="updated",
            api_url="https://api.conekta.io",
            needs=API_KEY,
            takes={},
            creates=TRIO,
        ),
        Psp(
            "stp",
            stp_signature,
            stp_events,
            credential="basic",
            make_client=stp_client.StpClient,
            lists_by="operating_day",
            api_url="https://prod.stpmex.com",
            needs={"COMPANY": "text", "PRIVATE_KEY": "private_key", "ORDERING_CLABE": "text"},
            takes={"EFWS_URL": "url", "PRIVATE_KEY_PASSPHRASE": "secret"},  # nosec B105 # the kind of the value
            reply_moves_money=True,
            cannot_refund=_never(f"STP has no refund: {BY_PAYOUT}"),
            cannot_cancel="STP has no cancelation of an order: if it comes back, it is shown as returned",
        ),
        Psp(
            "mercadopago",
            mercadopago_signature,
            mercadopago_events,
            credential="hmac",
            make_client=mercadopago_client.MercadoPagoClient,
            lists_by="updated",
            api_url="https://api.mercadopago.com",
            needs=API_KEY,
            takes={"COLLECTOR_ID": "text"},
            tolerates_time=True,
            past_seconds=None,  # whether a delivery that is repeated for days is signed anew is not known
            future_seconds=300,  # a time in the future is never that of a repetition
            is_hint=True,
            signs_query=True,
            creates=TRIO,
        ),
        Psp(
            "openpay",
            openpay_signature,
            openpay_events,
            credential="basic",
            make_client=openpay_client.OpenpayClient,
            lists_by="created_whole",
            api_url="https://api.openpay.mx",
            needs={**API_KEY, "MERCHANT_ID": "text"},
            takes={},
            is_hint=True,
            creates=TRIO,
            cannot_refund=dict.fromkeys(
                (Method.OXXO, Method.SPEI, Method.UNKNOWN), f"Openpay refunds cards only: {BY_PAYOUT}"
            ),
        ),
        Psp(
            "moonpay",
            moonpay_signature,
            moonpay_events,
            credential="hmac",
            make_client=moonpay_client.MoonPayClient,
            lists_by="nothing",
            api_url="https://api.moonpay.com",
            needs={**API_KEY, "PUBLISHABLE_KEY": "text"},
            takes={"WIDGET_URL": "url"},
            tolerates_time=True,
            calls_per_second=20,
            creates=(Method.CRYPTO_ONRAMP,),
            cannot_refund=_never("MoonPay is the seller and has no refund by API: have the payer ask its support"),
            cannot_cancel="MoonPay has no cancel: a purchase that nobody pays runs out by itself",
        ),
        Psp(
            "transak",
            transak_signature,
            transak_events,
            credential="tokens",
            make_client=transak_client.TransakClient,
            lists_by="created_whole",
            api_url="https://api.transak.com",
            needs={"API_KEY": "text", "API_SECRET": "secret"},  # nosec B105 # the kind of the value
            takes={"WIDGET_URL": "url"},
            unwrap=transak_events.unwrap,
            creates=(Method.CRYPTO_ONRAMP,),
            cannot_refund=_never("Transak is the seller and has no refund by API: have the payer ask its support"),
            cannot_cancel="Transak has no cancel: an order that nobody pays expires by itself",
        ),
        Psp(
            "bitso",
            bitso_signature,
            bitso_events,
            credential="key_ids",
            make_client=bitso_client.BitsoClient,
            lists_by="created_whole",
            api_url="https://api.bitso.com",
            needs={**API_KEY, "API_SECRET": "secret"},  # nosec B105 # the kind of the value
            takes={},
            is_hint=True,  # a signature is genuine for any of Bitso's customers, and a payload names none
            calls_per_second=4,  # 300 a minute are allowed, and too many lock the account out
            creates=(Method.SPEI,),
            cannot_refund=_never(f"Bitso has no refund: {BY_PAYOUT}"),
            cannot_cancel="Bitso has no cancel: a one-time payment that nobody pays expires by itself",
        ),
    )
}


def find_refund_flaw(psp: str, method: Method) -> str | None:
    """Why this PSP cannot refund a payment of this method, and what to do instead; None where it can, or may."""
    known = PSPS.get(psp)
    return known.cannot_refund.get(method) if known else None


def find_cancel_flaw(psp: str) -> str | None:
    """Why this PSP cannot call a payment off; None where it can, or may."""
    known = PSPS.get(psp)
    return known.cannot_cancel if known else None
