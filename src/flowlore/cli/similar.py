"""`flowlore similar`."""

from typing import Annotated

import typer

from . import learning, options


def similar(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    flow_id: Annotated[
        str, typer.Option("--to", metavar="FLOW_ID", help="The flow, by its id in hexadecimal or the beginning of it.")
    ],
    count: Annotated[int, typer.Option("--count", metavar="N", min=1, help="How many to show.")] = 10,
    where: options.Where = None,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Show the flows that are most like one of them.

    \b
    flowlore similar office flows.parquet --to 3f9a…
    """
    learning.require_extra()
    from ..tasks.raw import texts
    from ..tasks.retrieval import rows_of
    from ..tasks.retrieval import similar as most_alike
    from .text import print_json, print_table

    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    table = learning.read_flows(flows, settings, where=where)
    ids = texts(table, "flow_id")
    places = rows_of(ids, flow_id)
    vectors = predictor.embed(table).vectors
    found, cosines = most_alike(vectors, vectors[places[:1]], count=count + len(places))
    shown = [(row, cosine) for row, cosine in zip(found[0], cosines[0], strict=True) if row not in places][:count]
    fields = ("server_name", "app_protocol", "dst_port", "packets_fwd", "bytes_rev", "label")
    columns = {name: texts(table, name) for name in fields}
    rows = [
        {"flow_id": ids[row], "likeness": round(float(cosine), 4)} | {name: columns[name][row] for name in fields}
        for row, cosine in shown
    ]
    if json:
        print_json(rows)
        return
    cells = [[str(value) if value is not None else "" for value in row.values()] for row in rows]
    print_table(["flow id", "likeness", *(name.replace("_", " ") for name in fields)], cells, numbers=(1, 4, 5, 6))
