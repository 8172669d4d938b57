"""`flowlore embed`."""

from typing import Annotated

import typer

from . import learning, options


def embed(
    bundle: learning.BundleName,
    flows: learning.Flowed,
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="OUT", help="A .parquet, .csv or .jsonl file, or - for JSON lines.")
    ],
    where: options.Where = None,
    overwrite: options.Overwrite = False,
    config: options.ConfigFile = None,
    set: options.Set = None,
    json: options.Json = False,
) -> None:
    """Write one vector for each flow, keyed by flow id.

    \b
    flowlore embed office capture.pcap -o vectors.parquet
    """
    learning.require_extra()
    import pyarrow as pa

    from ..flows.write import open_writer
    from ..tasks.predictor import keys
    from .text import print_json, printable

    settings = options.resolved(config, set)
    predictor = learning.loaded(bundle, settings)
    masked: frozenset[str] | None = None
    with open_writer(output, overwrite=overwrite, metadata={"bundle": bundle}) as writer:
        for batch, found in predictor.embed_batches(learning.batches_of(flows, settings, where), patient=True):
            masked = frozenset(found.masked) if masked is None else masked & frozenset(found.masked)
            lists = pa.FixedSizeListArray.from_arrays(pa.array(found.vectors.ravel()), found.vectors.shape[1])
            for part in keys(batch).append_column("vector", lists).to_batches():
                writer.write(part)
        learning.require_flows(writer.rows, flows, where)
    if json:
        print_json({"flows": writer.rows, "output": output, "masked": sorted(masked or ())})
    else:
        learning.print_masked(sorted(masked or ()))
        print(f"{writer.rows:,} vectors → {printable(output)}")
