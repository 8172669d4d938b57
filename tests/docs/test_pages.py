"""The documentation keeps up with the code: everything is named, every link leads somewhere, nothing is out of date."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from flowlore import errors
from flowlore.cli.app import GROUPS, VERBS
from flowlore.config import PipelineConfig, registries
from flowlore.flows.schema import column_names
from flowlore.settings import all_settings

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def markdown(repository: Path) -> Iterator[Path]:
    yield from sorted(repository.glob("*.md"))
    for folder in ("docs", "examples", "changelog.d"):
        yield from sorted((repository / folder).rglob("*.md"))


@pytest.fixture(scope="session")
def reference(repository: Path) -> dict[str, str]:
    pages = sorted((repository / "docs" / "reference").glob("*.md"))
    return {path.stem: path.read_text(encoding="utf-8") for path in pages}


@pytest.fixture(scope="session")
def generator(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("reference_pages", repository / "scripts" / "reference_pages.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(generator: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["reference_pages.py", "--check"])
    assert generator.main() == 0, "make docs"


@pytest.mark.parametrize("verb", [*VERBS, *(f"{group} {word}" for group in GROUPS for word in GROUPS[group])])
def test_every_command_is_documented(verb: str, reference: dict[str, str]) -> None:
    assert f"## `flowlore {verb}`" in reference["commands"]


@pytest.mark.parametrize("path", [item.path for item in all_settings(PipelineConfig)])
def test_every_setting_is_documented(path: str, reference: dict[str, str]) -> None:
    assert f"`{path}`" in reference["settings"]


def test_every_setting_says_what_it_means() -> None:
    assert [item.path for item in all_settings(PipelineConfig) if not item.meaning] == []


def test_every_column_is_documented(reference: dict[str, str]) -> None:
    assert [name for name in column_names() if f"| `{name}` |" not in reference["columns"]] == []


def test_every_error_is_documented(reference: dict[str, str]) -> None:
    names = [name for name, one in vars(errors).items() if isinstance(one, type)]
    assert [name for name in names if name not in reference["errors"]] == []


def test_every_registered_name_is_documented(reference: dict[str, str]) -> None:
    for registry in registries():
        for name, entry in registry.entries().items():
            assert entry.package != "flowlore" or f"| `{name}` |" in reference["registries"]


def test_every_reason_and_note_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "concepts" / "account.md").read_text(encoding="utf-8")
    counted = set(counted_words(repository))
    assert {"not-ip", "cut-off-file", "data-before-template", "no-connection", "kernel-drops"} <= counted
    assert sorted(word for word in counted if f"`{word}`" not in page) == []
    documented = set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE))
    assert sorted(documented - counted) == []


COUNTERS = ("skipped", "notes", "left_out", "problems")
LISTS = ("REASONS", "NOTES", "SKIPPED", "STATUS", "COUNTS", "LIVE_NOTES")


def counted_words(repository: Path) -> Iterator[str]:
    """What the sources count by: keys of counters, what is handed to `_skip`, and the lists that kernels point into."""
    for path in sorted((repository / "src" / "flowlore" / "sources").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        keys = [value for name, value in named.items() if name in LISTS and isinstance(value, ast.Tuple | ast.Dict)]
        for node in ast.walk(tree):
            if isinstance(node, ast.Subscript) and name_of(node.value) in COUNTERS:
                keys.append(node.slice)
            elif isinstance(node, ast.Call) and name_of(node.func) in ("_skip", "Counter"):
                keys += node.args[:1]
            elif isinstance(node, ast.Call) and name_of(node.func) == "_without":
                keys += node.args[2:]
            elif isinstance(node, ast.Assign) and name_of(node.targets[0]) in ("break_reason", "bad_record_reason"):
                keys.append(node.value)
            elif isinstance(node, ast.For) and is_loop_over_reasons(node):
                keys.append(node.iter)
        for key in keys:
            parts = [row.elts[0] if isinstance(row, ast.Tuple) else row for row in getattr(key, "elts", [key])]
            for part in parts:
                yield from words_in(named.get(name_of(part) or "", part))


def is_loop_over_reasons(loop: ast.For) -> bool:
    """`for reason, count in (("one", 1), ("other", 2)): skipped[reason] += count`."""
    first = name_of(loop.target.elts[0]) if isinstance(loop.target, ast.Tuple) else name_of(loop.target)
    return re.search(rf"(notes|skipped)\[{first}\]", ast.unparse(loop)) is not None


def name_of(node: ast.AST) -> str | None:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def words_in(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Constant)
            and isinstance(part.value, str)
            and re.fullmatch(r"[a-z]+(-[a-z]+)*", part.value)
        ):
            yield part.value


def test_every_page_can_be_reached(repository: Path) -> None:
    """From the front page of the documentation, link by link."""
    start = repository / "docs" / "index.md"
    reached, waiting = set(), [start.resolve()]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if "://" not in target:
                waiting.append((page.parent / target.partition("#")[0]).resolve())
    pages = {path.resolve() for path in (repository / "docs").rglob("*.md")}
    assert {str(page.relative_to(repository)) for page in pages - reached} == set()


def test_every_link_leads_somewhere(repository: Path) -> None:
    broken = []
    for page in markdown(repository):
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            path, _, anchor = target.partition("#")
            if "://" in target or target.startswith("mailto:"):
                continue
            goal = (page.parent / path).resolve() if path else page
            if not goal.exists():
                broken.append(f"{page.relative_to(repository)}: {target}")
            elif anchor and goal.suffix == ".md" and anchor not in anchors(goal):
                broken.append(f"{page.relative_to(repository)}: {target} (no such heading)")
    assert broken == []


def anchors(page: Path) -> set[str]:
    """Headings as links name them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_settings_named_in_the_documentation_exist(repository: Path) -> None:
    """A `--set` in the text that the program would refuse is worse than none."""
    known = {item.path for item in all_settings(PipelineConfig)}
    wrong = []
    for page in markdown(repository):
        for name in re.findall(r"--set ([a-z_]+(?:\.[a-z_]+)+)=", page.read_text(encoding="utf-8")):
            if name not in known:
                wrong.append(f"{page.relative_to(repository)}: {name}")
    assert wrong == []


def test_settings_named_in_messages_exist(repository: Path) -> None:
    known = {item.path for item in all_settings(PipelineConfig)}
    wrong = []
    for path in sorted((repository / "src").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for name in re.findall(r"--set ([a-z_]+(?:\.[a-z_]+)+)=", node.value):
                    if name not in known:
                        wrong.append(f"{path.relative_to(repository)}:{node.lineno} {name}")
    assert wrong == []
