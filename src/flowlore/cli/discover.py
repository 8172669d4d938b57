"""`flowlore discover`."""

from typing import Annotated

import typer

from . import learning, options


def discover(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    smallest: Annotated[
        int, typer.Option("--smallest", metavar="N", min=2, help="Fewest flows that make a cluster.")
    ] = 10,
    every: Annotated[
        bool, typer.Option("--every", help="Cluster all flows; else, with a taught bundle, only unknown ones.")
    ] = False,
    output: Annotated[
        str,
        typer.Option("--output", "-o", metavar="OUT", help="The cluster of each asked flow: .parquet, .csv or .jsonl."),
    ] = "",
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Find groups of new flows, and say what tells each from the rest.

    \b
    flowlore discover office-5shot capture.pcap
    flowlore discover office-5shot capture.pcap -o clusters.parquet
    """
    learning.require_extra()
    import contextlib

    import pyarrow as pa

    from ..flows.write import open_writer
    from ..tasks.discover import discover as cluster
    from ..tasks.predictor import keys
    from ..tasks.raw import texts
    from .text import print_json, printable

    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    with contextlib.ExitStack() as stack:
        writer = open_writer(output, overwrite=overwrite, metadata={"bundle": bundle}) if output else None
        if writer is not None:
            stack.enter_context(writer)
        table = learning.read_flows(flows, settings, where=where)
        embedding = predictor.embed(table)
        chosen = ~embedding.is_blank
        if predictor.open_set is not None and not every:
            chosen &= predictor.open_set.is_unknown(embedding.vectors)
        asked = table[chosen]
        places, clusters = cluster(asked, embedding.vectors[chosen], smallest=smallest)
        if writer is not None:
            numbers = pa.array(places, pa.int64(), mask=places < 0)
            for part in keys(asked).append_column("cluster", numbers).to_batches():
                writer.write(part)
    ids = texts(asked, "flow_id")
    alone = int((places < 0).sum())
    if json:
        rows = [one.as_json() | {"example": ids[one.example]} for one in clusters]
        found = {"flows": len(table), "asked": len(asked), "alone": alone, "clusters": rows}
        print_json(found | {"output": output or None})
        return
    print(f"{len(asked):,} of {len(table):,} flows asked: {len(clusters)} clusters, {alone:,} flows like no others")
    for one in clusters:
        print(f"\ncluster {one.number}: {one.flows:,} flows, for example {ids[one.example]}")
        for trait in one.traits:
            print(f"  {printable(trait.words)}")
    if output:
        print(f"\n{len(asked):,} flows → {printable(output)}")
