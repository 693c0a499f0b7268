"""The CLABE, Mexico's 18-digit account number: bank (3), plaza (3), account (11), check digit (1)."""

WEIGHTS = (3, 7, 1) * 6


def is_clabe(text: str) -> bool:
    """Whether these are 18 digits with a valid check digit. Says nothing about the account existing.

    The bank code is not looked up: a new bank would be refused until somebody added it.
    """
    if len(text) != 18 or not text.isascii() or not text.isdigit():
        return False
    weighted = sum(int(digit) * weight % 10 for digit, weight in zip(text[:17], WEIGHTS, strict=False))
    return (10 - weighted) % 10 == int(text[17])
