"""The key with which whoever runs a stack on this machine calls its merchant API, kept beside it in the data folder."""

from contextlib import suppress
from pathlib import Path

from bootstrap_starting import utc_now
from commands.database import open_work
from commands.kept_secret import read_secret, write_secret
from config import Config
from ingress.keys import SCOPES, MadeKey, WantedKey, create_key
from ingress.tokens import digest_token
from models.api_keys import TwoAreActive
from models.merchants import DEFAULT_MERCHANT_ID
from models.unit_of_work import UnitOfWork

FILE_NAME = "merchant-key"
KEY = WantedKey("local", SCOPES, requests_per_minute=600)


def ensure_merchant_key(data_dir: Path, config: Config) -> str:
    """The default merchant's key named local: the one in the folder while it is active, else a new one."""
    file = data_dir / FILE_NAME
    with open_work(config) as work:
        kept = read_secret(file)
        if kept and work.access.api_keys.find(digest_token(kept), utc_now()):
            return kept
        made = _create(work)
        write_secret(file, made.text)
        work.commit()
    return made.text


def _create(work: UnitOfWork) -> MadeKey:
    """Where both places are taken, by keys whose file was lost, the older one gives up its place."""
    now, access = utc_now(), work.access.api_keys
    with suppress(TwoAreActive):
        return create_key(work, DEFAULT_MERCHANT_ID, KEY, now, is_operator=True)
    named = [key for key in access.list_all(DEFAULT_MERCHANT_ID) if key.name == KEY.name]
    active = [key for key in named if key.find_status(now) == "active"]
    access.revoke(DEFAULT_MERCHANT_ID, active[-1].id, now)
    return create_key(work, DEFAULT_MERCHANT_ID, KEY, now, is_operator=True)
