"""A report as it was at one moment: a private copy, its digest and its encoding. What changes meanwhile changes nothing."""

import codecs
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

CHUNK = 1024 * 1024
UTF8 = "utf-8-sig"  # with the byte order mark or without


@dataclass(frozen=True, slots=True)
class Limits:
    """How large a report may be; what is larger is refused. Lines and values of JSON are held in memory one at a time."""

    file_bytes: int = 4 * 1024**3
    line_chars: int = 1_000_000
    columns: int = 1000


class BadReport(ValueError):
    """A report cannot be taken as it is. The message names the line and the column, and nothing of it was stored."""


@dataclass(frozen=True, slots=True)
class Copied:
    """A report's bytes, from the start."""

    file: BinaryIO
    size: int
    sha256: bytes
    encoding: str


@contextmanager
def copy_report(source: BinaryIO, limits: Limits) -> Iterator[Copied]:
    """The copy, until the block is left. Raises BadReport for a file that is empty, too large or not text."""
    with tempfile.TemporaryFile() as file:
        digest, decoder, size, lines = hashlib.sha256(), codecs.getincrementaldecoder(UTF8)(), 0, 1
        is_utf8 = True
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > limits.file_bytes:
                raise BadReport(f"the file is larger than {limits.file_bytes} bytes: split it")
            if b"\0" in chunk:
                line = lines + chunk.count(b"\n", 0, chunk.index(b"\0"))
                raise BadReport(f"line {line}: a NUL byte: save the report as UTF-8 text")
            lines += chunk.count(b"\n")
            is_utf8 = is_utf8 and _decodes(decoder, chunk)
            digest.update(chunk)
            file.write(chunk)
        if not size:
            raise BadReport("the file is empty")
        is_utf8 = is_utf8 and _decodes(decoder, b"", final=True)
        file.seek(0)
        yield Copied(file, size, digest.digest(), UTF8 if is_utf8 else "latin-1")


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True
