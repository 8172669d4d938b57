"""The card of a bundle, for people: what it is, what it was made from, how good it is, what it must not be used for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def card(manifest: Mapping[str, Any], name: str) -> str:
    """Markdown with everything that `bundle.json` says in words, and nothing more."""
    lines = [
        f"# {name}",
        "",
        f"Made with flowlore {manifest['version']}; model `{manifest['model']}`, settings `{manifest['config_hash']}`.",
        "",
        "## What it answers",
        "",
        *_answers(manifest),
        "",
        "## What it was made from",
        "",
        *_listed(manifest["data"]),
        "",
        "## How good it is",
        "",
        *(_listed(manifest["metrics"]) if manifest["metrics"] else ["Not measured."]),
        "",
        "Scores hold for traffic like that above, split as it says." + _own_measure(manifest),
        "",
    ]
    return "\n".join(lines)


def _own_measure(manifest: Mapping[str, Any]) -> str:
    names_flows = "head" in manifest["states"]
    return " Measure on your own: `flowlore evaluate`." if names_flows else ""


def _answers(manifest: Mapping[str, Any]) -> list[str]:
    labels = manifest["labels"]
    classes = f"{len(labels)} classes: {', '.join(f'`{_text(label)}`' for label in labels)}."
    if "generator" in manifest["states"]:
        return [f"It makes up flows of {classes} `flowlore generate` asks it; its flows are nobody's traffic."]
    if "detector" in manifest["states"]:
        return [f"It finds floods of {classes} `flowlore detect --bundle` asks it, about the rates of every host."]
    if "roles" in manifest["states"]:
        return [f"It tells hosts of {classes} `flowlore hosts` asks it, about the rates of every host."]
    if manifest["model"] == "skip-gram":
        return [
            "It knows vectors of hosts, ports and names: `flowlore entities` asks it. It holds the addresses and names "
            "that it has met in clear."
        ]
    if manifest["model"] == "flowgen":
        return [
            "It knows how rates move: `flowlore forecast --bundle`, `flowlore hosts` and `flowlore generate` ask it."
        ]
    names = f"It names {classes}"
    embeds = "It embeds flows and names no class: `flowlore fit` teaches it some from a few labels."
    needs = ", ".join(f"`{need}`" for need in manifest["needs"])
    return [names if labels else embeds, "", f"It can use {needs}. What a source lacks is masked."]


def _listed(values: Mapping[str, Any], depth: int = 0) -> list[str]:
    lines = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            lines.append(f"{'  ' * depth}- {_text(key)}:")
            lines += _listed(value, depth + 1)
        else:
            shown = ", ".join(map(_text, value)) if isinstance(value, list) else _text(value)
            lines.append(f"{'  ' * depth}- {_text(key)}: {shown}")
    return lines or ["Nothing is said."]


def _text(value: Any) -> str:
    """On one line, and never as markup of a stranger's making."""
    return " ".join(str(value).replace("`", "'").replace("<", "(").replace(">", ")").split())
