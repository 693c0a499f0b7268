"""What both sides are given: random bodies, the same in every run, and changes of them."""

import random
from collections.abc import Callable, Iterator

from psps.base import InvalidSignature

BODIES = 300
LETTERS = 'abcXYZ0123456789 \t\n\r"\\{}[],:.=+/ñé€😀\u0000\u2028'


def random_texts(seed: str, count: int = BODIES) -> Iterator[str]:
    """Texts of nothing to some thousand letters, which is all that the packages can sign: not one signs bytes."""
    chance = random.Random(seed)
    for _ in range(count):
        yield "".join(chance.choices(LETTERS, k=chance.choice((0, 1, 7, 40, 300, 3000))))


def flip(data: bytes, chance: random.Random) -> bytes:
    """With one bit changed, so that it stays a text of ASCII where it was one."""
    place = chance.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << chance.randrange(7)]) + data[place + 1 :]


def accepts(verify: Callable[[], object]) -> bool:
    """Whether our verifier does. What it raises but InvalidSignature is raised here too."""
    try:
        verify()
    except InvalidSignature:
        return False
    return True
