"""Secrets that a stack on this machine keeps beside its data, each in a file of its own."""

import os
from contextlib import suppress
from pathlib import Path


def read_secret(file: Path) -> str:
    """What is kept there; empty where nothing is, or nothing that can be read."""
    with suppress(OSError, UnicodeDecodeError):
        return file.read_text(encoding="utf-8").strip()
    return ""


def write_secret(file: Path, secret: str) -> None:
    """Readable by its owner alone, and whole or not at all."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(f"{secret}\n")
    fresh.replace(file)
