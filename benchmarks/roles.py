"""Devices and hosts told by their rates alone: `python -m benchmarks.roles --data FOLDER --lab OFFICE --asked DRIFT`.

IoT Sentinel: set-up traffic of 27 types of devices, a capture of each at a time; the last 30 % of the captures of each
type examine. Laboratory: hosts of one run teach, those of another run of other programs and chances examine. What
stands beside the decoder sees numbers of the same windows. No address, port, name or payload is seen by anything.
"""

import argparse
import json
import re
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flowlore.features.rates.rates import rates
from flowlore.features.rates.settings import RateSettings
from flowlore.flows.addresses import address_bytes
from flowlore.models.flowgen.encoder import TRAINING
from flowlore.settings import settings_hash
from flowlore.sources.reading import read
from flowlore.studies.material import Places
from flowlore.studies.materials.captures import _device_type, devices_of, loaded_captures
from flowlore.tasks.raw import starts_ns, texts
from flowlore.tasks.roles.teaching import EPOCHS, taught_windows
from flowlore.tasks.roles.windows import Windows, windows_of
from flowlore.tasks.splits import Split, split_by_capture

from .machine import machine_class, our_versions

DEVICE = "10.0.0.1"
SENTINEL_STEP, LAB_STEP = "2s", "2s"
WIDTH = 60
SERVING = "server"
HEADS = ("probe", "forest")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--lab", type=Path, help="a run of the laboratory that teaches")
    parser.add_argument("--asked", type=Path, help="another run, that examines")
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    found: dict[str, list[dict[str, Any]]] = {}
    if options.data is not None:
        found["iot-sentinel"] = examined(*sentinel(options.data), seeds=options.seeds)
    if options.lab is not None and options.asked is not None:
        found["laboratory"] = examined(*laboratory(options.lab, options.asked), seeds=options.seeds)
    print(
        json.dumps(
            {
                "machine": machine_class(),
                "versions": our_versions(),
                "settings_hash": {
                    "training": settings_hash(replace(TRAINING, epochs=EPOCHS)),
                    "rates": settings_hash(RateSettings()),
                },
                "window_steps": WIDTH,
                "steps": {"iot-sentinel": SENTINEL_STEP, "laboratory": LAB_STEP},
                "sets": found,
            },
            indent=1,
        )
    )


def examined(windows: Windows, truth: Any, split: Split, *, seeds: int) -> list[dict[str, Any]]:
    """A report for each seed and head, with the processor time it took."""
    out = []
    for seed in range(seeds):
        encoder = None
        for head in HEADS:
            began = time.process_time()
            rng = np.random.default_rng(seed)
            made, report = taught_windows(windows, truth, split, rng=rng, encoder=encoder, head=head)
            encoder = made.encoder  # the same decoder for both heads
            report |= {"seed": seed, "cpu_s": round(time.process_time() - began, 1)}
            report["windows"] = {"taught": len(split.train), "asked": len(split.test)}
            print(head, {name: round(one["host_macro_f1"], 3) for name, one in report["scores"].items()},
                  file=sys.stderr, flush=True)  # fmt: skip
            out.append(report)
    return out


def sentinel(data: Path) -> tuple[Windows, Any, Split]:
    loaded = loaded_captures("iot-sentinel", Places(data=data))
    flows = read(list(loaded.paths))
    captures = np.array(["/".join(Path(name).parts[-2:]) for name in texts(flows, "capture")])
    folders = np.array([name.partition("/")[0] for name in captures])
    macs = {side: texts(flows, f"{side}_mac") for side in ("src", "dst")}
    device = devices_of(captures, folders, macs["src"])
    own = np.array([device.get(folder, "") for folder in folders])
    table, is_own = flows.to_arrow(), np.zeros(len(flows), np.bool_)
    for side in ("src", "dst"):
        mine = macs[side] == own
        is_own |= mine
        held = table[f"{side}_ip"].to_pylist()
        known = [address_bytes(DEVICE) if one else other for one, other in zip(mine.tolist(), held, strict=True)]
        place = table.schema.get_field_index(f"{side}_ip")
        table = table.set_column(place, table.schema.field(place), pa.array(known, pa.binary(16)))
    parts, labels, begins = [], [], []
    first_ns = starts_ns(flows)
    for capture in np.unique(captures).tolist():
        rows = np.flatnonzero((captures == capture) & is_own)
        if not len(rows):
            continue
        rows = rows[np.argsort(first_ns[rows], kind="stable")]
        made = rates(table.take(pa.array(rows)), "host", SENTINEL_STEP)
        part = windows_of(made, [DEVICE], width=WIDTH)
        parts.append(Windows(**{**vars_of(part), "hosts": np.full(len(part), capture, object)}))
        labels += [_device_type(capture.partition("/")[0])] * len(part)
        begins += [int(first_ns[rows[0]])] * len(part)
    windows, truth = Windows.joined(parts), np.array(labels)
    split = split_by_capture(windows.hosts, np.array(begins), classes=truth, test_share=0.3)
    return windows, truth, split


def laboratory(taught: Path, asked: Path) -> tuple[Windows, Any, Split]:
    parts, labels, sides = [], [], []
    for side, folder in enumerate((taught, asked)):
        known = roles_of(folder)
        for network, own in known.items():
            made = rates(read(folder / "capture" / f"{network}.pcapng"), "host", LAB_STEP)
            part = windows_of(made, [name for name in made.largest() if name in own], width=WIDTH)
            labels += [own[name] for name in part.hosts.tolist()]
            hosts = np.array([f"{side}/{one}" for one in part.hosts], object)
            parts.append(Windows(**{**vars_of(part), "hosts": hosts}))
            sides += [side] * len(part)
    windows, truth, side_of = Windows.joined(parts), np.array(labels), np.array(sides)
    nobody = np.zeros(0, np.int64)
    split = Split(by="run", train=np.flatnonzero(side_of == 0), test=np.flatnonzero(side_of == 1), validation=nobody)
    return windows, truth, split


def roles_of(folder: Path) -> dict[str, dict[str, str]]:
    """Of each network with a tap of its own, addresses with their roles: `desk-3` is a desk, who serves is a server."""
    run = json.loads((folder / "run.json").read_text())
    hosts = run["scenario"]["hosts"]
    found: dict[str, dict[str, str]] = {}
    for node, networks in run["nodes"].items():
        for network, addresses in networks.items():
            if node in hosts and (folder / "capture" / f"{network}.pcapng").is_file():
                role = SERVING if hosts[node]["services"] else re.sub(r"-\d+$", "", node)
                found.setdefault(network, {}).update(dict.fromkeys(addresses, role))
    return found


def vars_of(windows: Windows) -> dict[str, Any]:
    return {name: getattr(windows, name) for name in Windows.__dataclass_fields__}


if __name__ == "__main__":
    main()
