"""The handlers that would fetch each object from Stripe again are left out: that spares dj-stripe a call per event."""

from importlib import import_module

from django.apps import AppConfig

FETCHED = {
    "payment_intent.requires_action": "handle_other_event",
    "payment_intent.processing": "handle_other_event",
    "payment_intent.succeeded": "handle_other_event",
    "payment_intent.payment_failed": "handle_other_event",
    "payment_intent.canceled": "handle_other_event",
    "charge.refunded": "handle_charge_event",
}


class Peer(AppConfig):
    """Comes after djstripe in INSTALLED_APPS, whose handlers it disconnects."""

    name = "djstripe_peer"

    def ready(self) -> None:
        handlers = import_module("djstripe.event_handlers")
        for kind, handler in FETCHED.items():
            handlers.WEBHOOK_SIGNALS[kind].disconnect(getattr(handlers, handler), sender=handlers.Event)
