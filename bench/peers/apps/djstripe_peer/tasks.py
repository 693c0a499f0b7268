"""The callback that dj-stripe calls for a valid webhook, and the task that it sends."""

import os
from typing import Any

from django.apps import apps
from django.db import transaction
from peer_queue import create_celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djstripe_peer.settings")
celery = create_celery("djstripe_peer")


def enqueue(trigger: Any, api_key: str) -> None:
    """DJSTRIPE_WEBHOOK_EVENT_CALLBACK. The trigger's row is committed already, the message goes after this commit."""
    transaction.on_commit(lambda: process_trigger.apply_async((trigger.pk,), ignore_result=True, retry=False))


@celery.task
def process_trigger(trigger_id: int) -> None:
    """Store the event once, as dj-stripe does it."""
    apps.get_model("djstripe", "WebhookEventTrigger").objects.get(pk=trigger_id).process()
