"""The application of workers and beat with canaries that come often, and workers that can be told to take nothing more."""

from datetime import timedelta

import schedules.sending
import workers.taking
from workers.app import celery

SECONDS = 1.5

schedules.sending.WRITE_EVERY = workers.taking.NOTE_EVERY = timedelta(seconds=0.5)
celery.conf.worker_enable_remote_control = True
celery.conf.beat_schedule = {
    name: {**entry, "schedule": SECONDS}
    for name, entry in celery.conf.beat_schedule.items()
    if name.startswith("canary.")
}
