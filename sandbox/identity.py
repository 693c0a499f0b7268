"""Names, numbers and amounts of invented payments: the same seed and start give the same ones."""

import itertools
import random
import string

BASE62 = string.ascii_letters + string.digits
FIRST_NAMES = ("María", "José", "Guadalupe", "Ángel", "Sofía", "Iñaki", "Lucía", "Raúl")
LAST_NAMES = ("Núñez", "López", "Peña", "Muñoz", "García", "Ibáñez", "Ruiz", "Cedeño")


class Identity:
    """One source of ids and choices.

    `shape` (amounts, flows, pauses) depends on the seed alone; ids depend on the seed and `started_at` (unix
    seconds), so that a scenario repeated later against the same database speaks of new payments.
    """

    def __init__(self, seed: int, started_at: int) -> None:
        self.seed = seed
        self.shape = random.Random(f"shape/{seed}")
        self._names = random.Random(f"names/{seed}/{started_at}")
        self._count = itertools.count(self._names.randrange(10**9, 9 * 10**9) * 100)

    def text(self, prefix: str, length: int, alphabet: str = BASE62) -> str:
        return prefix + "".join(self._names.choices(alphabet, k=length))

    def hex(self, length: int) -> str:
        return self.text("", length, "0123456789abcdef")

    def digits(self, length: int) -> str:
        return self.text("", length, string.digits)

    def number(self) -> int:
        """An integer that no other payment of this source has."""
        return next(self._count)

    def clabe(self, bank: str = "646", place: str = "180") -> str:
        return complete_clabe(bank + place + self.digits(11))

    def amount_minor(self, least: int = 1_000, most: int = 1_000_000) -> int:
        return self.shape.randint(least, most)

    def person(self) -> str:
        return f"{self.shape.choice(FIRST_NAMES)} {self.shape.choice(LAST_NAMES)}"


def complete_clabe(first_17: str) -> str:
    """The CLABE whose first 17 digits are given: each times 3, 7, 1 in turn, last digits summed, up to the next ten."""
    total = sum(int(digit) * weight % 10 for digit, weight in zip(first_17, itertools.cycle((3, 7, 1)), strict=False))
    return f"{first_17}{-total % 10}"
