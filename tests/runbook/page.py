"""Reads docs/runbook.md: its incidents, their commands, and what each of them must print.

A block that is fenced as `console` is a series of `$ command` lines, each with the output that is expected below it:

- `...` is any text of a line, and, alone on a line, any lines or none; `N` is any number; spaces are any spaces;
- `<name>` is a word: the first one in an incident says what it is, later ones, in commands too, are the same;
- `[exit 1]` at the end is the exit code, which is 0 without it;
- a command that ends in `# until` is repeated until it prints what it should;
- a line that ends in a backslash goes on in the next.

Blocks fenced as `console platform` are what differs from one platform to another.
"""

import re
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

FILE = Path(__file__).parents[2] / "docs" / "runbook.md"
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^## (?P<title>.+)$", re.MULTILINE)
ITS_EXIT = re.compile(r"\[exit (\d+)\]")
UNTIL = re.compile(r" +# until\b.*$")
PLACEHOLDER = re.compile(r"<([a-z_]+)>")
WORDS = re.compile(r"\s*\.\.\.|<[a-z_]+>|\bN\b|\s+")


@dataclass(frozen=True, slots=True)
class Step:
    """One command. `expected` are the lines of its output."""

    command: str
    expected: tuple[str, ...]
    exit_code: int = 0
    is_repeated: bool = False
    is_platform: bool = False


@dataclass(frozen=True, slots=True)
class Incident:
    """One section of the page. `fences` are the info strings of all its blocks."""

    title: str
    text: str
    fences: tuple[str, ...]
    steps: tuple[Step, ...]


def read_incidents(text: str) -> list[Incident]:
    """The sections that have blocks, in the page's order."""
    parts = HEADING.split(text)[1:]
    sections = zip(parts[::2], parts[1::2], strict=True)
    return [_read_incident(title, body) for title, body in sections if FENCE.search(body)]


def _read_incident(title: str, text: str) -> Incident:
    blocks = list(FENCE.finditer(text))
    steps = [step for block in blocks for step in _read_block(block["info"], block["body"])]
    return Incident(title, text, tuple(block["info"] for block in blocks), tuple(steps))


def _read_block(info: str, body: str) -> list[Step]:
    lines = body.replace("\\\n", "").splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")] + [len(lines)]
    return [
        _read_step(lines[start][2:], lines[start + 1 : end], info.endswith(" platform"))
        for start, end in pairwise(starts)
    ]


def _read_step(command: str, output: list[str], is_platform: bool) -> Step:
    expected = [line for line in output if line.strip()]
    ends = ITS_EXIT.fullmatch(expected[-1]) if expected else None
    return Step(
        command=UNTIL.sub("", command),
        expected=tuple(expected[:-1] if ends else expected),
        exit_code=int(ends[1]) if ends else 0,
        is_repeated=bool(UNTIL.search(command)),
        is_platform=is_platform,
    )


def fill_in(command: str, known: dict[str, str]) -> str:
    """The command with the words that were seen before. Raises KeyError for one that was not."""
    return PLACEHOLDER.sub(lambda found: known[found[1]], command)


def compare(step: Step, printed: str, exit_code: int, known: dict[str, str]) -> dict[str, str] | None:
    """The words that this output names anew, or None where it is not what the page says."""
    lines = [line.strip() for line in printed.splitlines() if line.strip()]
    pattern = "".join(_write_line(line.strip(), known) for line in step.expected)
    found = re.fullmatch(_name_once(pattern), "".join(f"{line}\n" for line in lines))
    if found is None or exit_code != step.exit_code:
        return None
    return found.groupdict()


def _write_line(line: str, known: dict[str, str]) -> str:
    if line == "...":
        return r"(?:.*\n)*?"
    pattern, end = "", 0
    for word in WORDS.finditer(line):
        pattern += re.escape(line[end : word.start()]) + _write_word(word[0], known)
        end = word.end()
    return pattern + re.escape(line[end:]) + r"\n"


def _write_word(word: str, known: dict[str, str]) -> str:
    if word.endswith("..."):
        return r".*?"
    if word == "N":
        return r"\d[\d,]*(?:\.\d+)?"
    if word.isspace():
        return r"[ \t]+"
    name = word[1:-1]
    return re.escape(known[name]) if name in known else rf"(?P<{name}>[\w.:+/-]+)"


def _name_once(pattern: str) -> str:
    """A word that is new and stands in several places is named in the first and the same in the others."""
    seen = set[str]()

    def refer(found: re.Match[str]) -> str:
        if found[1] in seen:
            return f"(?P={found[1]})"
        seen.add(found[1])
        return found[0]

    return re.sub(r"\(\?P<([a-z_]+)>\[[^]]*\]\+\)", refer, pattern)
