"""The key that seals the secrets of a stack's database, kept beside it in the data folder."""

import json
from pathlib import Path

from cryptography.fernet import Fernet

from commands.stack_state import write_json

FILE_NAME = "secret_key.json"


def ensure_secret_key(data_dir: Path) -> str:
    """The key of this folder, made once: without it nothing that it sealed can be read again."""
    file = data_dir / FILE_NAME
    if not file.exists():
        write_json(file, {"key": Fernet.generate_key().decode()})
    return str(json.loads(file.read_text(encoding="utf-8"))["key"])
