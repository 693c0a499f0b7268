"""Accounts of people are shown by their last digits alone."""

import re

from psps.clabe import is_clabe

# No letter or digit beside it: a hash is no account.
_EIGHTEEN = re.compile(r"(?<![0-9A-Za-z])[0-9]{18}(?![0-9A-Za-z])")


def mask_clabes(text: str) -> str:
    """The text with every CLABE cut down to its last 4 digits."""
    return _EIGHTEEN.sub(lambda found: f"•••• {found[0][-4:]}" if is_clabe(found[0]) else found[0], text)
