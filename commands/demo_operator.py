"""The operator with whom whoever runs a stack on this machine logs in to its console; the password is kept beside the data."""

import secrets
from pathlib import Path

from uuid_utils.compat import uuid7

from bootstrap_starting import utc_now
from commands.database import open_work
from commands.kept_secret import read_secret, write_secret
from config import Config
from ingress.passwords import Passwords
from models.states import OperatorRole

EMAIL = "demo@acuse.example"
FILE_NAME = "console-password"


def ensure_operator(data_dir: Path, config: Config) -> str | None:
    """The password of EMAIL: the one in the folder while it is right, else a new one; None once EMAIL was disabled."""
    file, passwords = data_dir / FILE_NAME, Passwords()
    kept = read_secret(file)
    with open_work(config) as work:
        found = work.operators.find(EMAIL)
        if found and found.disabled_at:
            return None
        if found and kept and passwords.verify(found.password_hash, kept):
            return kept
        password = secrets.token_urlsafe(12)
        password_hash = passwords.hash(password)
        if found:
            work.operators.change(found.id, password_hash=password_hash)
        else:
            work.operators.add(uuid7(), EMAIL, password_hash, OperatorRole.ADMIN, utc_now())
        write_secret(file, password)
        work.commit()
    return password
