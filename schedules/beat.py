"""The whole timetable. A run that is not taken within its period is dropped: the next one does its work."""

from typing import Any

SWEEP_SECONDS = 5
INDEX_SECONDS = 5
HOUSEKEEPING_SECONDS = 3600

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
    "housekeeping": {
        "task": "schedules.keep_house",
        "schedule": HOUSEKEEPING_SECONDS,
        "options": {"expires": HOUSEKEEPING_SECONDS},
    },
}
