"""The callback that dj-stripe calls for a valid webhook, and the task that it sends."""

import os
from typing import Any

from celery import Celery
from django.apps import apps
from django.db import transaction

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "djstripe_peer.settings")
celery = Celery("djstripe_peer", broker=os.environ["BENCH_REDIS_URL"])
celery.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    task_publish_retry=False,
    worker_send_task_events=False,
    worker_enable_remote_control=False,
    worker_prefetch_multiplier=int(os.environ.get("BENCH_PREFETCH", "4")),
    broker_pool_limit=int(os.environ.get("BENCH_POOL", "10")),
    broker_connection_retry_on_startup=True,
)


def enqueue(trigger: Any, api_key: str) -> None:
    """DJSTRIPE_WEBHOOK_EVENT_CALLBACK. The trigger's row is committed already, the message goes after this commit."""
    transaction.on_commit(lambda: process_trigger.apply_async((trigger.pk,), ignore_result=True, retry=False))


@celery.task
def process_trigger(trigger_id: int) -> None:
    """Store the event once, as dj-stripe does it."""
    apps.get_model("djstripe", "WebhookEventTrigger").objects.get(pk=trigger_id).process()
