"""Changed texts: every one that one change makes, and any that several make."""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

EVERY_VALUE = bytes(range(256))
# What numbers, base64, headers, addresses and JSON are made of, and what no reader expects.
TELLING = b'\0\t\n\r "%&+,-./09:;=AZ[\\_az{}\x7f\x80\x85\xa0\xff'
MARKS = (
    b"",
    b",",
    b"=",
    b" ",
    b"\t",
    b";",
    b":",
    b".",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"&",
    b"+",
    b"%",
    b"\0",
    b"\n",
    b"\xff",
)


def change_once(text: bytes, with_every_value: bool = True) -> Iterator[bytes]:
    """Every text that one of these makes: a byte put in, replaced or taken out, two neighbours swapped, the end cut off.

    Without every value a byte is replaced by each of the eight that differ in one bit, and what is put in is a telling one.
    """
    for place in range(len(text) + 1):
        before, after = text[:place], text[place:]
        put_in = EVERY_VALUE if with_every_value else TELLING + after[:1]
        yield from (before + put_in[at : at + 1] + after for at in range(len(put_in)))
        if not after:
            return
        others = EVERY_VALUE if with_every_value else bytes(after[0] ^ 1 << bit for bit in range(8))
        yield from (before + others[at : at + 1] + after[1:] for at in range(len(others)) if others[at] != after[0])
        yield before + after[1:]
        yield before
        if len(after) > 1 and after[0] != after[1]:
            yield before + after[1:2] + after[:1] + after[2:]


@dataclass(frozen=True)
class Edit:
    """One cut into one of several texts, and what is put there. Numbers stand for whatever is there that often round."""

    text: int
    place: int
    cut: int  # so many bytes are taken out
    filling: bytes | tuple[int, int]  # or a piece of the text itself, by its start and size

    def apply(self, text: bytes) -> bytes:
        place = self.place % (len(text) + 1)
        if isinstance(self.filling, bytes):
            filling = self.filling
        else:
            start = self.filling[0] % (len(text) + 1)
            filling = text[start : start + self.filling[1]]
        return text[:place] + filling + text[place + self.cut :]


_places = st.integers(0, 2**16)
edits = st.lists(
    st.builds(
        Edit,
        text=st.integers(0, 11),
        place=_places,
        cut=st.sampled_from((0, 0, 1, 2, 8, 64, 2**16)),
        filling=st.sampled_from(MARKS)
        | st.binary(max_size=8)
        | st.tuples(_places, st.sampled_from((1, 4, 16, 64, 2**16))),
    ),
    min_size=1,
    max_size=4,
)
