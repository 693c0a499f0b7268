"""Celery as both peers that use it have it."""

import os

from celery import Celery


def create_celery(name: str) -> Celery:
    """Tasks survive a worker's death, results and events are not kept, and nothing waits for the broker to come back."""
    celery = Celery(name, broker=os.environ["BENCH_REDIS_URL"])
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
    return celery
