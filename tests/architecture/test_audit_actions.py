"""docs/audit.md lists every action that the code writes to the audit log, and no other."""

import ast
import importlib
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "layers/core/headgate"
AUDIT = (ROOT / "docs/audit.md").read_text()
ROWS = re.findall(r"^\| `([a-z_]+\.[a-z_]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", AUDIT, re.M)
_ACTION = re.compile(r"[a-z_]+\.[a-z_]+")
_MAKERS = frozenset({"AuditEvent", "audit_event"})


class Module:
    """One file, and what the expressions in it may come to."""

    def __init__(self, path: Path) -> None:
        self._tree = ast.parse(path.read_text())
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        self._names = vars(importlib.import_module(name))
        self._functions = {
            node.name: node
            for node in ast.walk(self._tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }

    def actions(self) -> Iterator[str]:
        """Of every event that is made here."""
        for function in self._functions.values():
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and (action := _action_of(node)) is not None:
                    yield from self._texts(action, function)

    def _texts(self, node: ast.expr, function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        match node:
            case ast.Constant(value=str(text)):
                return {text}
            case ast.JoinedStr(values=parts):
                return {"".join(each) for each in product(*(self._texts(part, function) for part in parts))}
            case ast.FormattedValue(value=inner) | ast.Attribute(value=inner, attr="value"):
                return self._texts(inner, function)
            case ast.IfExp(body=body, orelse=orelse):
                return self._texts(body, function) | self._texts(orelse, function)
            case ast.Attribute(value=ast.Name(id=owner), attr=attr) if owner in self._names:
                return {str(getattr(self._names[owner], attr))}
            case ast.Call(func=ast.Name(id=name)) if name in self._functions:
                return self._returned(self._functions[name])
            case ast.Name(id=name):
                return self._of_name(name, function)
        pytest.fail(f"can't follow {ast.unparse(node)} to an action")

    def _of_name(self, name: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        if isinstance(self._names.get(name), str):
            return {self._names[name]}
        given = [each.arg for each in function.args.args]
        if name in given or name in [each.arg for each in function.args.kwonlyargs]:
            return self._passed(function, name, given)
        found = [
            self._texts(node.value, function)
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and name in [ast.unparse(each) for each in node.targets]
        ]
        # A name out of a loop may be any of the constants that look like an action.
        constants = {v for k, v in self._names.items() if k.isupper() and isinstance(v, str)}
        return set().union(*found) or {each for each in constants if _ACTION.fullmatch(each)}

    def _passed(
        self, function: ast.FunctionDef | ast.AsyncFunctionDef, name: str, given: list[str]
    ) -> set[str]:
        """What it is called with in this file."""
        found: set[str] = set()
        for caller in self._functions.values():
            for call in ast.walk(caller):
                if not isinstance(call, ast.Call) or ast.unparse(call.func) != function.name:
                    continue
                named = {each.arg: each.value for each in call.keywords}
                values = dict(zip(given, call.args, strict=False)) | named
                if name in values:
                    found |= self._texts(values[name], caller)
        return found

    def _returned(self, function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
        values = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
        return set().union(*(self._texts(value, function) for value in values))


def _action_of(call: ast.Call) -> ast.expr | None:
    """The action of the event that this call makes, if it makes one."""
    match call.func:
        case ast.Name(id=name) if name in _MAKERS:
            return next(each.value for each in call.keywords if each.arg == "action")
        case ast.Attribute(attr="event"):  # of an act
            return call.args[0]
    return None


def written() -> set[str]:
    """Every action in the code."""
    files = [path for path in PACKAGE.rglob("*.py") if "testing" not in path.parts]
    makers = [path for path in files if re.search(r"\.event\(|\b[Aa]udit_?[Ee]vent\(", path.read_text())]
    return {action for path in makers for action in Module(path).actions()}


def test_the_table_of_actions_is_whole() -> None:
    documented = [row[0] for row in ROWS]
    assert sorted(documented) == sorted(written())


def test_every_action_has_a_name_of_the_same_form() -> None:
    assert all(_ACTION.fullmatch(action) for action in written())


def test_functions_that_the_table_names_exist() -> None:
    functions = {path.parent.name for path in ROOT.glob("functions/*/app.py")}
    assert ROWS
    for action, who, *_ in ROWS:
        assert set(who.split(", ")) <= functions, action
