"""Every reason that our code can write, read from the code itself: `{}` stands where a text goes on with something else."""

import ast
import importlib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
ROOMS = ("workers", "psps", "models", "schedules")
# Which argument is the reason: of what ends or puts off an event, of a decision, and of a call that brought nothing.
PLACES = {
    "Finished": 2,
    "Postponed": 3,
    "_park": 3,
    "_postpone": 5,
    "_look_again": 5,
    "_finish": 4,
    "Ignored": 1,
    "Unparseable": 0,
    "PayloadLocked": 0,
    "LostRace": 0,
    "NotNow": 0,
    "OutcomeUnknown": 0,
    "Refused": 0,
    "NotThere": 0,
    "Fault": 0,
    "Sent": 3,
    "lost": 1,
}
NOT_OURS = (
    "schedules/closing/",
    "psps/cep/proof.py",
)  # another Refused; what Banxico's proofs are refused for is not stored
CONSTANTS = ("REASON_CONFLICT", "WAITING", "WRONG_MODE", "FORGOTTEN", "BELONGS_TO_ANOTHER", "ELSEWHERE", "PAUSED")


@cache
def read_module(path: Path) -> tuple[ModuleType, ast.Module]:
    """A module and its syntax."""
    name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return importlib.import_module(name), ast.parse(path.read_text())


def list_reasons() -> dict[str, str]:
    """Where each of them is written, by its text."""
    files = [file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py"))]
    found: dict[str, str] = {}
    for path in files:
        place = str(path.relative_to(ROOT))
        if not place.startswith(NOT_OURS):
            found |= dict.fromkeys(_list_in(path), place)
    return {text: place for text, place in found.items() if text.strip("{}: ")}


def _list_in(path: Path) -> Iterator[str]:
    module, tree = read_module(path)
    for name in CONSTANTS:
        if isinstance(said := getattr(module, name, None), str) and said.isprintable():
            yield said
    scopes = [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]
    for scope in scopes:
        names = list_assigned(scope)
        for node in ast.walk(scope):
            if isinstance(node, ast.Call):
                for value in _list_arguments(node):
                    yield from read_texts(value, module, names)
    if path.name == "decisions.py":  # whatever text it has is a reason
        docs = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in docs}
        yield from (one for one in texts if isinstance(one, str))


def _list_arguments(call: ast.Call) -> Iterator[ast.expr]:
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", "")
    yield from (word.value for word in call.keywords if word.arg == "reason")
    if name in PLACES and len(call.args) > PLACES[name]:
        yield call.args[PLACES[name]]


def list_calls(scope: ast.AST, name: str) -> list[ast.Call]:
    """Where a function of this name is called."""
    calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call)]
    return [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == name]


def list_assigned(scope: ast.AST) -> dict[str, list[ast.expr]]:
    """What the names of a function are set to."""
    names: dict[str, list[ast.expr]] = {}
    for node in ast.walk(scope):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                is_several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
                pairs = zip(target.elts, node.value.elts, strict=False) if is_several else [(target, node.value)]
                for name, value in pairs:
                    if isinstance(name, ast.Name):
                        names.setdefault(name.id, []).append(value)
    return names


def read_texts(value: ast.expr, module: ModuleType, names: Mapping[str, list[ast.expr]]) -> set[str]:
    """What an expression may come to; nothing for what only a PSP or a caller knows."""
    if isinstance(value, ast.Constant):
        return {value.value} if isinstance(value.value, str) else set()
    if isinstance(value, ast.JoinedStr):
        return {"".join(_read_part(part, module, names) for part in value.values)}
    if isinstance(value, ast.IfExp):
        return read_texts(value.body, module, names) | read_texts(value.orelse, module, names)
    if isinstance(value, ast.BoolOp):
        return {text for one in value.values for text in read_texts(one, module, names)}
    if isinstance(value, ast.Name):
        kept = getattr(module, value.id, None)
        if isinstance(kept, str):
            return {str(kept)}
        outer = {name: said for name, said in names.items() if name != value.id}
        return {text for one in names.get(value.id, []) for text in read_texts(one, module, outer)}
    if isinstance(value, ast.Subscript):
        return _read_values(value.value, module)
    if isinstance(value, ast.Call):
        return _read_call(value, module, names)
    return set()


def _read_part(part: ast.expr, module: ModuleType, names: Mapping[str, list[ast.expr]]) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    known = read_texts(part.value, module, names) if isinstance(part.value, ast.Name) else set()
    return known.pop() if len(known) == 1 else "{}"


def _read_values(table: ast.expr, module: ModuleType) -> set[str]:
    kept = getattr(module, table.id, None) if isinstance(table, ast.Name) else None
    return {text for text in kept.values() if isinstance(text, str)} if isinstance(kept, Mapping) else set()


def _read_call(call: ast.Call, module: ModuleType, names: Mapping[str, list[ast.expr]]) -> set[str]:
    """`TABLE.get(key, usual)`, one of `next(... for ... in TABLE.items())`, or what a function of the module gives."""
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("get", "items", "values"):
        usual = {text for one in call.args[1:] for text in read_texts(one, module, names)}
        return usual | _read_values(call.func.value, module)
    if isinstance(call.func, ast.Name) and call.func.id == "next":
        return {
            text
            for one in ast.walk(call)
            if isinstance(one, ast.Call) and one is not call
            for text in _read_call(one, module, names)
        }
    if isinstance(call.func, ast.Name):
        kept = getattr(module, call.func.id, None)
        if callable(kept) and getattr(kept, "__module__", None) == module.__name__ and module.__file__:
            tree = read_module(Path(module.__file__))[1]
            for node in ast.walk(tree):
                if isinstance(node, ast.FunctionDef) and node.name == call.func.id:
                    given = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value]
                    return {text for one in given for text in read_texts(one, module, names)}
    return set()
