"""Writes docs/reference from the code, so that it cannot fall behind. With --check it compares and writes nothing."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import typer

from flowlore import errors
from flowlore.cli.app import GROUPS, VERBS, app
from flowlore.config import PipelineConfig, registries
from flowlore.features.rates.columns import rates_columns
from flowlore.features.rates.notes import NOTE_MEANINGS
from flowlore.flows.schema import SCHEMA_VERSION, columns
from flowlore.lab.scenario import CapturePoint, Clock, ExportPoint, Host, Link, Network, Plan, Router
from flowlore.settings import Settings, all_settings

SCENARIO_TABLES: dict[str, type[Settings]] = {
    "At the top": Clock,
    "`[links.NAME]`": Link,
    "`[networks.NAME]`": Network,
    "`[routers.NAME]`": Router,
    "`[hosts.NAME]`": Host,
    "`[[activities]]`": Plan,
    "`[captures.NAME]`": CapturePoint,
    "`[exports.NAME]`": ExportPoint,
}
REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = REPOSITORY / "docs" / "reference"
NOTICE = "<!-- Written by scripts/docs from the code. Change the code, then run `make docs`. -->\n"


def main() -> int:
    pages = {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "columns.md": columns_page(),
        "rates.md": rates_page(),
        "errors.md": errors_page(),
        "registries.md": registries_page(),
        "scenarios.md": scenarios_page(),
    }
    stale = []
    for name, text in pages.items():
        path = REFERENCE / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv[1:]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv[1:]:
        print(f"docs: out of date: {', '.join(stale)}\n\nhint: make docs", file=sys.stderr)
        return 1
    return 0


def commands_page() -> str:
    """Every verb with its arguments and options."""
    group = typer.main.get_command(app)
    parts = [
        "# Commands\n",
        NOTICE,
        "`flowlore --help` and `flowlore VERB --help` say the same. Exit codes: 0 success, 2 a mistake that you can",
        "mend (one message on standard error), 1 a mistake of ours (with a traceback), 130 an interruption by",
        "Ctrl-C or SIGTERM; verbs that listen or watch an interface then end as they should, with 0.\n",
    ]
    for name in VERBS:
        parts += [f"## `flowlore {name}`\n", *_command(group.commands[name])]  # type: ignore[attr-defined]
    for name, words in GROUPS.items():
        within = group.commands[name]  # type: ignore[attr-defined]
        for word in words:
            parts += [f"## `flowlore {name} {word}`\n", *_command(within.commands[word])]
    return _page(parts)


def settings_page() -> str:
    """Every setting by group."""
    parts = [
        "# Settings\n",
        NOTICE,
        "Defaults, then `--config FILE` (TOML), then each `--set NAME=VALUE`; the later wins. `flowlore config` prints",
        'them all. In Python: `flowlore.read("office.pcap", settings={"meter.idle_timeout_s": 30})`.\n',
    ]
    described = {item.path: item for item in all_settings(PipelineConfig)}
    for group in dict.fromkeys(path.rpartition(".")[0] for path in described):
        doc = _group_doc(group)
        parts += [
            f"## `[{group}]`\n",
            f"{doc}\n" if doc else "",
            "| setting | value | default | meaning |",
            "|---|---|---|---|",
        ]
        for path, item in described.items():
            if path.rpartition(".")[0] == group:
                value = item.type + _bounds(item.minimum, item.maximum)
                default = "unset" if item.default is None else f"`{_toml(item.default)}`"
                parts.append(f"| `{path}` | {_cell(value)} | {default} | {_cell(item.meaning)} |")
        parts.append("")
    return _page(parts)


def scenarios_page() -> str:
    """Every key of a scenario of the laboratory."""
    parts = [
        "# Scenarios\n",
        NOTICE,
        "Keys of a scenario's TOML file. [How scenarios are written](../guides/laboratory.md);",
        "[roles and their options](../guides/laboratory-roles.md).\n",
    ]
    for title, cls in SCENARIO_TABLES.items():
        parts += [f"## {title}\n", f"{cls.__doc__}\n", "| key | value | default | meaning |", "|---|---|---|---|"]
        for item in all_settings(cls):
            value = item.type + _bounds(item.minimum, item.maximum)
            default = "unset" if item.default is None else f"`{_toml(item.default)}`"
            parts.append(f"| `{item.path}` | {_cell(value)} | {default} | {_cell(item.meaning)} |")
        parts.append("")
    return _page(parts)


def columns_page() -> str:
    """Every column of the flow table."""
    parts = [
        "# Columns of the flow table\n",
        NOTICE,
        f"Schema version {SCHEMA_VERSION}. One row is one bidirectional flow, or one slice of it (`part`). `_fwd` is",
        "from `src`, who spoke first, to `dst`; `_rev` is the other way. What a source cannot know is null.",
        "Addresses, MACs and flow ids are bytes in Arrow and Parquet, and text in every view for people.\n",
    ]
    for group in dict.fromkeys(column.group for column in columns()):
        parts += [
            f"## {group.capitalize()}\n",
            "| column | type | unit | meaning | known by |",
            "|---|---|---|---|---|",
        ]
        for column in columns():
            if column.group == group:
                known = "every source" if len(column.known_by) == 8 else ", ".join(column.known_by)
                parts.append(
                    f"| `{column.name}` | {column.type} | {_cell(column.unit)} | {_cell(column.meaning)} | {known} |"
                )
        parts.append("")
    return _page(parts)


def rates_page() -> str:
    """Every column of the table of rates, and every note."""
    parts = [
        "# Columns of the table of rates\n",
        NOTICE,
        "One row is an entity in a step in which it had traffic. [How it is made](../guides/rates.md).\n",
        "| column | type | unit | meaning |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| `{name}` | {str(type_).partition('[')[0]} | {_cell(unit)} | {_cell(meaning)} |"
        for name, type_, unit, meaning in rates_columns()
    ]
    parts += ["", "## Notes\n", "| note | what it counts |", "|---|---|"]
    return _page([*parts, *(f"| `{name}` | {_cell(meaning)} |" for name, meaning in NOTE_MEANINGS.items())])


def errors_page() -> str:
    """Every error class, and every message that the code can give."""
    parts = ["# Errors\n", NOTICE, "Each is a `FlowloreError` with a `problem` and a `hint`; `…` stands for a value.\n"]
    parts += ["```text", *_tree(), "```", ""]
    messages: dict[str, list[tuple[str, str, str]]] = {}
    for kind, problem, hint in sorted(set(_messages())):
        stage = problem.partition(":")[0] if ":" in problem[:24] and "…" not in problem.partition(":")[0] else "other"
        messages.setdefault(stage, []).append((kind, problem, hint))
    for stage, rows in sorted(messages.items()):
        parts += [f"## {stage.capitalize()}\n", "| message | hint | error |", "|---|---|---|"]
        parts += [f"| {_cell(problem)} | {_cell(hint)} | `{kind}` |" for kind, problem, hint in rows]
        parts.append("")
    return _page(parts)


def registries_page() -> str:
    """Every registered name with what it is."""
    parts = [
        "# Registries\n",
        NOTICE,
        "A built-in and a plug-in are the same kind of string, `module:attribute`. Plug-ins are entry points of the",
        "group named below; `flowlore plugins` lists what is installed.\n",
    ]
    for registry in registries():
        parts += [
            f"## {registry.plural.capitalize()}\n",
            f"Entry-point group: `flowlore.{registry.plural}`\n",
            "| name | what it is | target |",
            "|---|---|---|",
        ]
        for name, entry in registry.entries().items():
            if entry.package == "flowlore":
                thing = registry.load(name)
                doc = (thing.__doc__ or "").strip().partition("\n")[0]
                parts.append(f"| `{name}` | {_cell(doc)} | `{entry.target}` |")
        parts.append("")
    return _page(parts)


def _command(command: Any) -> Iterator[str]:
    words = (command.help or "").split("\n\n")
    for paragraph in words:
        if "\b" in paragraph:
            yield "```text"
            yield "\n".join(line.strip() for line in paragraph.replace("\b", "").strip().splitlines())
            yield "```\n"
        else:
            yield " ".join(paragraph.split()) + "\n"
    yield "| option | meaning |"
    yield "|---|---|"
    for parameter in command.params:
        if parameter.name == "help":
            continue
        if parameter.param_type_name == "argument":
            name = parameter.metavar or parameter.name
        else:
            name = ", ".join([*parameter.opts, *parameter.secondary_opts])
            if parameter.metavar:
                name += f" {parameter.metavar}"
        yield f"| `{name}` | {_cell(parameter.help or '')} |"
    yield ""


def _group_doc(group: str) -> str:
    cls: Any = PipelineConfig
    for name in group.split(".") if group else []:
        cls = get_type_hints(cls)[name]
    return (cls.__doc__ or "").strip().partition("\n")[0]


def _tree() -> list[str]:
    doc = errors.__doc__ or ""
    return doc.strip().split("\n\n", 1)[1].splitlines()


def _messages() -> Iterator[tuple[str, str, str]]:
    """(class, problem, hint) of every call of an error class in the package."""
    names = {name for name, one in vars(errors).items() if isinstance(one, type)}
    for path in sorted((REPOSITORY / "src/flowlore").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names and node.args:
                hint = next((_words(word.value) for word in node.keywords if word.arg == "hint"), "")
                yield node.func.id, _words(node.args[0]), hint


def _words(node: ast.AST) -> str:
    """The text of an expression, with … for what is only known when it runs."""
    if isinstance(node, ast.Constant):
        return "" if node.value is None else str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_words(one) for one in node.values)
    if isinstance(node, ast.BinOp):
        return _words(node.left) + _words(node.right)
    if isinstance(node, ast.IfExp):
        either = [words for words in (_words(node.body), _words(node.orelse)) if words]
        return " / ".join(dict.fromkeys(either))
    return "…"


def _bounds(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f", {low:,} to {high:,}"
    return f", at least {low:,}" if low is not None else f", at most {high:,}" if high is not None else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    return str(list(value)) if isinstance(value, tuple) else str(value)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _page(parts: list[str]) -> str:
    return "\n".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    sys.exit(main())
