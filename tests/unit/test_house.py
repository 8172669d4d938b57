"""The house keeps its order: which way imports point, what an import costs, what the front door shows."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import flowlore

ORDER = [
    *("errors", "registry", "settings", "flows", "sources", "features", "models", "tasks", "pages", "studies"),
    *("lab", "serving", "config", "cli", "__main__"),
]
HEAVY = {"duckdb", "fastapi", "numba", "pandas", "polars", "pyarrow", "ray", "starlette", "torch"}
LINES_AT_MOST = 500
LONG_FILES: dict[str, str] = {}  # file → why it is longer
PRINTING_FILES = {"cli"}


def modules(repository: Path) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((repository / "src/flowlore").rglob("*.py")):
        yield path.relative_to(repository / "src/flowlore"), ast.parse(path.read_text(encoding="utf-8"))


def imported_stages(path: Path, tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The stage (first name below `flowlore`) of every import of our own, and its line."""
    package = ["flowlore", *path.with_suffix("").parts[:-1]]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = [*base, *(node.module.split(".") if node.module else [])]
            targets = [stem] if len(stem) > 1 else [[*stem, alias.name] for alias in node.names]
        else:
            continue
        for target in targets:
            if target[0] == "flowlore" and len(target) > 1 and target[1] != "__version__":
                yield target[1], node.lineno


def test_imports_only_point_left(repository: Path) -> None:
    for path, tree in modules(repository):
        owner = path.parts[0].removesuffix(".py")
        if owner == "__init__":  # the front door names what lies behind it, and loads it when asked
            continue
        for target, line in imported_stages(path, tree):
            assert target == owner or ORDER.index(target) < ORDER.index(owner), (
                f"{path}:{line} {owner} must not import {target}"
            )


def test_imports_inside_the_package_are_relative(repository: Path) -> None:
    for path, tree in modules(repository):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                assert (node.module or "").split(".")[0] != "flowlore", f"{path}:{node.lineno}"


def test_import_is_light() -> None:
    assert loaded_after("import flowlore") & HEAVY == set()


@pytest.mark.parametrize("command", ["--help", "flows --help", "inspect --help", "--version", "nonsense"])
def test_help_is_light(command: str) -> None:
    """Help stays under 0.3 s because nothing heavy is imported; the time itself is not asserted, machines differ."""
    loaded = loaded_after(f"from flowlore.cli import run; run({command.split()!r})")
    assert loaded & (HEAVY | {"numpy", "rich"}) == set()


def loaded_after(code: str) -> set[str]:
    """The top-level packages in memory after some code ran in a process of its own."""
    report = "import sys; print('LOADED', *{name.split('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.rpartition("LOADED ")[2].split())


def test_public_names_are_sorted_few_and_there() -> None:
    assert flowlore.__all__ == sorted(flowlore.__all__)
    assert len(flowlore.__all__) <= 20
    for name in flowlore.__all__:
        assert getattr(flowlore, name) is not None
    assert set(flowlore.__all__) <= set(dir(flowlore))


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module `flowlore` has no attribute `reed`"):
        _ = flowlore.reed


def test_every_registered_target_is_there() -> None:
    from flowlore.config import registries

    assert registries()
    for registry in registries():
        assert registry.names(), registry.kind
        for name in registry.names():
            assert re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name), f"{registry.kind} `{name}`"
            assert registry.load(name) is not None


def test_files_stay_readable(repository: Path) -> None:
    for path, _ in modules(repository):
        lines = (repository / "src/flowlore" / path).read_text(encoding="utf-8").count("\n")
        assert lines <= LINES_AT_MOST or str(path) in LONG_FILES, f"{path} has {lines} lines; why?"


def test_the_library_does_not_print(repository: Path) -> None:
    for path, tree in modules(repository):
        if path.parts[0] in PRINTING_FILES:
            continue
        for node in ast.walk(tree):
            is_print = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
            assert not is_print, f"{path}:{node.lineno} prints"


def test_nothing_is_pickled_or_executed(repository: Path) -> None:
    for path, tree in modules(repository):
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                names = [node.func.id]
            forbidden = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "exec", "eval"}
            assert not forbidden & set(names), f"{path}:{getattr(node, 'lineno', 0)} uses {forbidden & set(names)}"


def test_no_module_is_a_drawer_for_everything(repository: Path) -> None:
    drawers = {"utils", "util", "common", "core", "helpers", "helper", "manager", "base", "misc"}
    for path, _ in modules(repository):
        assert not drawers & set(path.with_suffix("").parts), path


def test_only_stages_of_the_design_exist(repository: Path) -> None:
    stages = {path.parts[0].removesuffix(".py") for path, _ in modules(repository)}
    assert stages - {"__init__", "data"} <= set(ORDER)


def test_the_version_is_in_the_changelog(repository: Path) -> None:
    assert flowlore.__version__ in (repository / "CHANGELOG.md").read_text(encoding="utf-8")
