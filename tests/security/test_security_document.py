"""SECURITY.md names tests that exist, for everybody who could attack and for every incident."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", DOCUMENT)
ATTACKERS = (
    "internet",
    "PSP that lies",
    "payer",
    "merchant",
    "broker",
    "database or a backup",
    "logs",
    "operator",
    "dependency",
)


def find_missing(file: str, test: str) -> str | None:
    """What is not there of a named test; None where all is."""
    path = ROOT / file
    if not path.is_file():
        return file
    functions = {
        node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    }
    return None if not test or test in functions else f"{file}::{test}"


def test_every_test_that_it_names_exists() -> None:
    assert len(NAMED) > 60
    assert [missing for named in NAMED if (missing := find_missing(*named))] == []
    assert DOCUMENT.count("`tests/") == len(NAMED), "each is written so that it is looked for"


def test_a_test_that_does_not_exist_would_be_missed() -> None:
    assert find_missing("tests/security/test_security_document.py", "test_nothing_of_the_kind")
    assert find_missing("tests/security/test_nothing.py", "")
    assert find_missing("tests/security/test_security_document.py", "test_every_test_that_it_names_exists") is None


def test_it_speaks_of_everybody_who_could_attack() -> None:
    headings = re.findall(r"^### (.+)$", DOCUMENT, re.MULTILINE)
    assert [who for who in ATTACKERS if not any(who in heading for heading in headings)] == []
    sections = DOCUMENT.partition("## Who can do what")[2].partition("## What is open")[0].split("\n### ")[1:]
    assert [one.splitlines()[0] for one in sections if "tests/" not in one] == ["What else is not stopped"]


def test_every_incident_has_a_test() -> None:
    rows = re.findall(r"^\| (\d+) \|(.+)$", DOCUMENT.partition("## What happened to others")[2], re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 11))
    assert all("`tests/" in row for _, row in rows)


def test_the_readme_and_the_guide_for_contributors_lead_there() -> None:
    for name in ("README.md", "CONTRIBUTING.md"):
        assert "](SECURITY.md)" in (ROOT / name).read_text(encoding="utf-8")
