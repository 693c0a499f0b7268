"""The whole timetable. A run that is not taken within its period is dropped: the next one does its work."""

from typing import Any

from models.canaries import CANARY_ENTRY, CANARY_SECONDS, SENT_TO

SWEEP_SECONDS = 5
INDEX_SECONDS = 5
REPLAY_SECONDS = 2
RECONCILE_SECONDS = 60  # the tick; an account is due every five minutes
HOUSEKEEPING_SECONDS = 3600
RECONCILE_ACCOUNT = "schedules.reconcile_account"
TAKE_CANARY = "schedules.take_canary"

# Under which job an entry takes its windows, so the last one tells when it ran.
JOBS = {
    "sweep": "sweep",
    "index_search": "index_search",
    "start_reconciling": "reconcile",
    "housekeeping": "housekeeping",
}

TIMETABLE: dict[str, dict[str, Any]] = {
    "sweep": {
        "task": "schedules.sweep",
        "schedule": SWEEP_SECONDS,
        "options": {"expires": SWEEP_SECONDS},
    },
    "index_search": {
        "task": "schedules.index_search",
        "schedule": INDEX_SECONDS,
        "options": {"expires": INDEX_SECONDS},
    },
    "advance_replays": {
        "task": "workers.advance_replays",
        "schedule": REPLAY_SECONDS,
        "options": {"expires": REPLAY_SECONDS},
    },
    "start_reconciling": {
        "task": "schedules.start_reconciling",
        "schedule": RECONCILE_SECONDS,
        "options": {"expires": RECONCILE_SECONDS},
    },
    "housekeeping": {
        "task": "schedules.keep_house",
        "schedule": HOUSEKEEPING_SECONDS,
        "options": {"expires": HOUSEKEEPING_SECONDS},
    },
    **{
        f"{CANARY_ENTRY}{queue}": {
            "task": TAKE_CANARY,
            "schedule": CANARY_SECONDS,
            "options": {"queue": queue, "expires": CANARY_SECONDS},
        }
        for queue in SENT_TO
    },
}
