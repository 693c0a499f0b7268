"""Every crash point in the code is one that a scenario reaches, and every one that a scenario knows is in the code."""

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from tests.faults import scenarios
from tests.faults.house import ROOT

ROOMS = ("engines", "ingress", "migrations", "models", "notifications", "psps", "schedules", "workers")


def list_names(source: str) -> Iterator[str]:
    """The names given to `crash_points.reach`, both of one that is chosen by a condition. Raises AssertionError where a
    name is made at run time."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "crash_points.reach":
            (name,) = node.args
            for one in [name.body, name.orelse] if isinstance(name, ast.IfExp) else [name]:
                assert isinstance(one, ast.Constant), f"not a name: {ast.unparse(node)}"
                yield str(one.value)


def list_modules() -> list[Path]:
    return [*ROOT.glob("*.py"), *(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))]


def list_known() -> dict[str, set[str]]:
    """The points that each module of scenarios reaches."""
    modules = [import_module(f"{scenarios.__name__}.{one.name}") for one in iter_modules(scenarios.__path__)]
    return {module.__name__: set(getattr(module, "POINTS", ())) for module in modules}


def test_the_names_of_crash_points_are_those_that_scenarios_reach() -> None:
    named = [name for file in list_modules() for name in list_names(file.read_text())]
    known = list_known()
    in_code, in_scenarios = set(named), set().union(*known.values())
    assert len(in_code) > len(known), "no crash points were found"
    assert not in_scenarios - in_code, "a scenario waits for a point that the code does not have"
    assert not in_code - in_scenarios, "no scenario reaches this point"
    assert len(named) == len(in_code), "two places have one name"


def test_a_name_is_read_wherever_it_stands() -> None:
    source = "def f():\n    if x:\n        crash_points.reach('a.b' if x else 'a.c')\ncrash_points.reach('d.e')\nreach('f.g')\n"
    assert sorted(list_names(source)) == ["a.b", "a.c", "d.e"]
    with pytest.raises(AssertionError, match="not a name"):
        list(list_names("crash_points.reach(name)"))
