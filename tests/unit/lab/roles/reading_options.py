"""Which options a role reads, from its source: those of its steps and of all that they call."""

import ast
from functools import cache
from pathlib import Path

from flowlore.lab import roles

FOLDER = Path(roles.__file__).parent
GIVEN = {"raw_frames"}  # by the run itself


def options_read(module: str, function: str) -> set[str]:
    """Names of options that a function of `flowlore.lab.roles.MODULE` may ask its scene for."""
    found: set[str] = set()
    seen: set[tuple[str, str]] = set()
    ahead = [(module, function)]
    while ahead:
        here = ahead.pop()
        if here in seen:
            continue
        seen.add(here)
        functions, imported = _parsed(here[0])
        if here[1] not in functions:
            if here[1] in imported:
                ahead.append(imported[here[1]])
            continue
        for node in ast.walk(functions[here[1]]):
            if isinstance(node, ast.Name):
                ahead.append((here[0], node.id))
            elif isinstance(node, ast.Call):
                found |= _asked_for(node)
    return found - GIVEN


def steps_of(module: str) -> dict[str, str]:
    """Name of each activity of a module, and the function that does it."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Habit":
            values = {one.arg: one.value for one in node.keywords}
            name, steps = values["name"], values["steps"]
            assert isinstance(name, ast.Constant) and isinstance(steps, ast.Name)
            found[name.value] = steps.id
    return found


def _asked_for(call: ast.Call) -> set[str]:
    is_get = isinstance(call.func, ast.Attribute) and call.func.attr == "get" and "options" in ast.dump(call.func)
    if is_get and isinstance(call.args[0], ast.Constant):
        return {call.args[0].value}
    is_number = isinstance(call.func, ast.Name) and call.func.id == "number"
    if is_number and isinstance(call.args[2], ast.Constant):
        return {call.args[2].value}
    return set()


@cache
def _parsed(module: str) -> tuple[dict[str, ast.AST], dict[str, tuple[str, str]]]:
    """Functions and classes of a module, and where those that it imports are."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text())
    functions: dict[str, ast.AST] = {
        node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    imported = {
        name.asname or name.name: (node.module, name.name)
        for node in tree.body
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module
        for name in node.names
    }
    return functions, imported
