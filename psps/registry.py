"""The one list of PSPs. Adding one is its folder and one entry here."""

from dataclasses import dataclass
from typing import Literal

from psps.base import EventsModule, SignatureModule
from psps.conekta import events as conekta_events
from psps.conekta import signature as conekta_signature
from psps.stp import events as stp_events
from psps.stp import signature as stp_signature
from psps.stripe import events as stripe_events
from psps.stripe import signature as stripe_signature

CredentialKind = Literal["hmac", "pem", "basic"]


@dataclass(frozen=True, slots=True)
class Psp:
    """One PSP as the rest of Acuse sees it."""

    name: str
    signature: SignatureModule
    events: EventsModule
    credential: CredentialKind  # which environment variables hold what verify() needs
    tolerates_time: bool = False  # verify() takes past_seconds and future_seconds
    reply_moves_money: bool = False  # an HTTP 400 tells this PSP to send the payer's money back


PSPS: dict[str, Psp] = {
    psp.name: psp
    for psp in (
        Psp("stripe", stripe_signature, stripe_events, credential="hmac", tolerates_time=True),
        Psp("conekta", conekta_signature, conekta_events, credential="pem"),
        Psp("stp", stp_signature, stp_events, credential="basic", reply_moves_money=True),
    )
}
