"""How an unexpected error is logged: by its kind and place. Its text may quote a payload, so that stays out."""

import traceback
from pathlib import Path


def describe_fault(error: BaseException) -> dict[str, str]:
    """`error` and `place` for a log line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
    return {"error": type(error).__name__, "place": place}
