"""The documentation keeps up with the code: everything is named, every link leads somewhere, nothing is out of date."""

import ast
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from flowlore import errors
from flowlore.cli.app import VERBS
from flowlore.config import PipelineConfig, registries
from flowlore.flows.schema import column_names
from flowlore.settings import all_settings
from flowlore.sources.packets.layout import REASONS

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


@pytest.mark.parametrize("verb", VERBS)
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


def test_every_reason_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "concepts" / "account.md").read_text(encoding="utf-8")
    assert [reason for reason in REASONS if reason and f"`{reason}`" not in page] == []


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
