"""Both sizes, seeded once: a folder that was named is kept, and measured again without seeding."""

import argparse
import json
import shutil
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.progress import Progress

from bench.growth.history import History, make_history
from bench.growth.running import Engines
from bench.growth.seeding import seed
from bench.growth.sizes import read_indexes, read_sizes

SMALL, BIG = "small", "big"
BYTES_BESIDE_THE_BODY = 2600  # of an event, on disk while everything is there, WAL included
MARK = "seeded.json"


def fill(
    engines: Engines, progress: Progress, arguments: argparse.Namespace
) -> tuple[dict[str, History], dict[str, Any]]:
    """The histories by size, and what the big one took on disk before anything else was done with it."""
    mark = engines.folder / MARK
    if mark.exists():
        kept = json.loads(mark.read_text(encoding="utf-8"))
        return {name: _read(one) for name, one in kept["histories"].items()}, kept["sizes"]
    pause = timedelta(days=30.5) * arguments.months / arguments.events
    histories = {}
    for name, events in ((SMALL, arguments.small), (BIG, arguments.events)):
        histories[name] = make_history(events, pause, arguments.payload_bytes, arguments.scattered_keys)
        engines.make(name)
        seed(engines.url(name), histories[name], progress, name)
    sizes = {"tables": read_sizes(engines.url(BIG)), "indexes": read_indexes(engines.url(BIG))}
    written = {"histories": {name: asdict(one) for name, one in histories.items()}, "sizes": sizes}
    mark.write_text(json.dumps(written, default=_write), encoding="utf-8")
    return histories, sizes


def check_space(folder: Path, arguments: argparse.Namespace) -> None:
    """Ends the program where the disk has not a quarter more than is written."""
    wanted = arguments.events * (arguments.payload_bytes + BYTES_BESIDE_THE_BODY)
    free = shutil.disk_usage(folder).free
    if not (folder / MARK).exists() and free < wanted * 1.25:
        raise SystemExit(
            f"{wanted / 1e9:,.0f} GB are written and the disk has {free / 1e9:,.0f}: choose another --folder,"
            " fewer --events or smaller --payload-bytes"
        )


def _write(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value / timedelta(microseconds=1)


def _read(kept: dict[str, Any]) -> History:
    pause = timedelta(microseconds=kept["pause"])
    return History(**kept | {"pause": pause, "ends_at": datetime.fromisoformat(kept["ends_at"])})
