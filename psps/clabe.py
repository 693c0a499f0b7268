"""The CLABE, Mexico's 18-digit account number: bank (3), plaza (3), account (11), check digit (1)."""

import re

WEIGHTS = (3, 7, 1) * 6
# No letter or digit beside it: a hash is no account.
_EIGHTEEN = re.compile(r"(?<![0-9A-Za-z])[0-9]{18}(?![0-9A-Za-z])")


def is_clabe(text: str) -> bool:
    """Whether these are 18 digits with a valid check digit. Says nothing about the account existing.

    The bank code is not looked up: a new bank would be refused until somebody added it.
    """
    if len(text) != 18 or not text.isascii() or not text.isdigit():
        return False
    weighted = sum(int(digit) * weight % 10 for digit, weight in zip(text[:17], WEIGHTS, strict=False))
    return (10 - weighted) % 10 == int(text[17])


def mask_account(digits: str) -> str:
    """•••• 1234: what is shown of an account, so that who knows it can tell it from others."""
    return f"•••• {digits[-4:]}"


def mask_clabes(text: str) -> str:
    """The text with every CLABE cut down to its last 4 digits."""
    return _EIGHTEEN.sub(lambda found: mask_account(found[0]) if is_clabe(found[0]) else found[0], text)
