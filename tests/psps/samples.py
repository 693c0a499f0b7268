"""The stored samples and vectors of the PSPs, and small changes to them."""

import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def sample(psp: str, name: str) -> bytes:
    """One sample body as it would arrive."""
    return (HERE / "samples" / psp / f"{name}.json").read_bytes()


def sample_names(psp: str) -> list[str]:
    return sorted(path.stem for path in (HERE / "samples" / psp).glob("*.json"))


def all_samples() -> list[tuple[str, str]]:
    return [(psp, name) for psp in ("stripe", "conekta", "stp") for name in sample_names(psp)]


def vectors(name: str) -> list[dict[str, Any]]:
    return json.loads((HERE / "vectors" / f"{name}.json").read_text(encoding="utf-8"))


def changed(body: bytes, *path: str | int, to: object) -> bytes:
    """The same body with one value replaced, added, or (DROP) taken out."""
    top = json.loads(body)
    place = top
    for step in path[:-1]:
        place = place[step]
    if to is DROP:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(top).encode()


DROP = object()
