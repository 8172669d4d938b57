"""All verbs put together. Every verb's file imports what it needs when it runs, so that `--help` is quick."""

from collections.abc import Callable
from typing import Annotated

import typer

from . import (
    accustom,
    annotate,
    augment,
    bundles,
    columns,
    compare,
    config,
    datasets,
    demo,
    detect,
    discover,
    embed,
    entities,
    evaluate,
    explain,
    fit,
    flows,
    forecast,
    generate,
    graph,
    hosts,
    inspect,
    lab,
    map,
    plugins,
    predict,
    pretrain,
    query,
    rates,
    similar,
    study,
    warm,
)

app = typer.Typer(
    name="flowlore",
    help="Any record of network traffic becomes one flow table.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

VERBS: dict[str, Callable[..., None]] = {
    "flows": flows.flows,
    "inspect": inspect.inspect,
    "graph": graph.graph,
    "query": query.query,
    "rates": rates.rates,
    "forecast": forecast.forecast,
    "detect": detect.detect,
    "annotate": annotate.annotate,
    "augment": augment.augment,
    "pretrain": pretrain.pretrain,
    "accustom": accustom.accustom,
    "fit": fit.fit,
    "imitate": generate.imitate,
    "generate": generate.generate,
    "predict": predict.predict,
    "explain": explain.explain,
    "evaluate": evaluate.evaluate,
    "embed": embed.embed,
    "hosts": hosts.hosts,
    "similar": similar.similar,
    "discover": discover.discover,
    "map": map.map,
    "bundles": bundles.bundles,
    "compare": compare.compare,
    "study": study.study,
    "demo": demo.demo,
    "datasets": datasets.datasets,
    "columns": columns.columns,
    "config": config.config,
    "plugins": plugins.plugins,
    "warm": warm.warm,
}

for name, verb in VERBS.items():
    app.command(name=name)(verb)

GROUPS: dict[str, dict[str, Callable[..., None]]] = {  # verbs that have verbs of their own
    "entities": entities.WORDS,
    "lab": lab.WORDS,
}

app.add_typer(entities.app, name="entities")
app.add_typer(lab.app, name="lab")


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"flowlore {__version__}")
        raise typer.Exit


@app.callback()
def _flowlore(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
