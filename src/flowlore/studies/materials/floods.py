"""Real attack captures, and real traffic of others to lay them over; and runs of the laboratory with their own attacks.

Which of it teaches and which examines is decided by capture and host: see `studies/ddos/episodes.py`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ...errors import InputError
from ...sources.packets.settings import MeterSettings
from ...sources.reading import read
from ...sources.settings import SourceSettings
from ...tasks.ddos.attacks import Attack, read_attacks
from ...tasks.ddos.overlay import NUMBERED, AttackSource, attack_source
from ..material import FLOODS, Facts, Places, checksum_of, write_facts, write_json
from ..study import Scale
from .laboratory import largest_tap, run_folders

TEACHING, ASKING = "teaching", "asking"
SLICED = SourceSettings(meter=MeterSettings(window_s=1.0, max_packets=0, names=False))
CAPTURES = (  # (file, kind): each is a real attack, without background
    ("stopddos/pkt.TCP.synflood.spoofed.pcap", "syn-flood"),
    ("cicddos2019/CIC-DDoS-2019-SynFlood.pcap", "syn-flood"),
    ("stopddos/amp.UDP.isakmp.pcap", "udp-reflection"),
    ("stopddos/amp.UDP.snmp.src161.pcapng", "udp-reflection"),
    ("stopddos/amp.TCP.reflection.SYNACK.pcap", "syn-ack-reflection"),
    ("cicddos2019/CIC-DDoS-2019-WebDDoS.pcap", "web-flood"),
)
MIRAI = ("iot23/flows.parquet", "mirai-flood")
BACKGROUND = "luflow/days.parquet"
COLUMNS = (
    *("start", "duration_ns", "part", "src_ip", "dst_ip", "src_name", "dst_name", "src_port", "dst_port", "protocol"),
    *("packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev", "payload_bytes_fwd", "payload_bytes_rev"),
    *("tcp_flags_fwd", "tcp_flags_rev", "syn_packets_fwd", "syn_packets_rev", "rst_packets_fwd", "rst_packets_rev"),
)
CAMPUS, SERVICES = "AS786", 16
DAY_NS = 86_400_000_000_000
LEAST_DAY = 0.5  # of a day that a background must cover


@dataclass(frozen=True, kw_only=True, eq=False)
class Background:
    """Traffic without attacks that anybody laid: one stretch of time of one network."""

    name: str
    side: str
    flows: pa.Table
    watched: tuple[str, ...] = ()  # hosts that may be attacked and raise alarms; none named: all


@dataclass(frozen=True, kw_only=True, eq=False)
class FloodMaterial:
    """What runs need: `attacks` where the traffic holds its own, by the name of its background."""

    backgrounds: tuple[Background, ...]
    sources: tuple[AttackSource, ...] = ()
    attacks: tuple[Attack, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class GatheredFloods:
    """A material of backgrounds and attacks, before it is kept in the folder of a study."""

    title: str
    material: FloodMaterial
    checksum: str
    split_by: str
    proof: str
    notes: tuple[str, ...] = ()

    def prepare(self, name: str, scale: Scale, folder: Path) -> Facts:
        folder.mkdir(parents=True, exist_ok=True)
        held = self.material
        for place, one in enumerate(held.backgrounds):
            pq.write_table(one.flows, folder / f"background-{place}.parquet", compression="zstd")
        for place, source in enumerate(held.sources):
            table = pa.table({"src_ip": source.src_ip, "duration_ns": source.duration_ns, **source.columns})
            pq.write_table(table, folder / f"source-{place}.parquet", compression="zstd")
        about: dict[str, Any] = {
            "backgrounds": [
                {"name": one.name, "side": one.side, "watched": list(one.watched)} for one in held.backgrounds
            ],
            "sources": [{"name": one.name, "kind": one.kind, "seconds": one.seconds} for one in held.sources],
            "attacks": [asdict(one) for one in held.attacks],
        }
        write_json(folder / "floods.json", about)
        kinds = {one.kind for one in held.sources} | {one.kind for one in held.attacks}
        rows = {
            side: sum(len(one.flows) for one in held.backgrounds if one.side == side) for side in (TEACHING, ASKING)
        }
        facts = Facts(
            name=name,
            title=self.title,
            checksum=self.checksum,
            licence="see `flowlore datasets`",
            split_by=self.split_by,
            proof=self.proof,
            train=rows[TEACHING],
            validation=0,
            test=rows[ASKING],
            novel=rows[ASKING],
            whole_train=rows[TEACHING],
            whole_test=rows[ASKING],
            classes=len(kinds),
            groups=len(held.sources) or len(held.attacks),
            smallest_class=1,
            modalities=("rates",),
            holds=FLOODS,
            lacks=(),
            identity=(),
            context="nothing",
            shortcuts="no address, port or name is shown; each host is seen beside its own mean",
            features={"kinds": sorted(kinds), "laid": bool(held.sources)},
            notes=self.notes,
        )
        write_facts(facts, folder)
        return facts


def load_floods(folder: Path) -> FloodMaterial:
    """What `prepare` kept."""
    about = json.loads((folder / "floods.json").read_text())
    sources = []
    for place, one in enumerate(about["sources"]):
        table = pq.read_table(folder / f"source-{place}.parquet")
        columns = {name: table[name].to_numpy() for name in (*NUMBERED, "part")}
        sources.append(
            AttackSource(
                **one,
                src_ip=table["src_ip"].combine_chunks(),
                columns=columns,
                duration_ns=table["duration_ns"].to_numpy(),
            )
        )
    return FloodMaterial(
        backgrounds=tuple(
            Background(**_tuples(one), flows=pq.read_table(folder / f"background-{place}.parquet"))
            for place, one in enumerate(about["backgrounds"])
        ),
        sources=tuple(sources),
        attacks=tuple(Attack(**one) for one in about["attacks"]),
    )


def floods(places: Places) -> GatheredFloods:
    """Every attack capture that is here, and the days of LUFlow: those of July teach, those of December ask."""
    background = places.data / BACKGROUND
    present = [(places.data / path, kind) for path, kind in CAPTURES if (places.data / path).is_file()]
    if not background.is_file() or len({kind for _, kind in present}) < 2:
        raise InputError(
            f"studies: attack captures of two kinds, or the background `{BACKGROUND}`, are not below `{places.data}`",
            hint="`flowlore datasets` says where they come from",
        )
    sources = [attack_source(read(path, settings=SLICED), path.stem, kind) for path, kind in present]
    mirai = places.data / MIRAI[0]
    if mirai.is_file():
        sources.append(_mirai(mirai))
    sources = [by_network(one) for one in sources]
    days = _days(by_service(slim(read(background).to_arrow())))
    middle = len(days) // 2
    return GatheredFloods(
        title="Attack captures over LUFlow",
        material=FloodMaterial(
            backgrounds=tuple(
                Background(
                    name=name,
                    side=TEACHING if place < middle else ASKING,
                    flows=table,
                    watched=tuple(f"{CAMPUS}/{service}" for service in range(SERVICES)),
                )
                for place, (name, table) in enumerate(days)
            ),
            sources=tuple(sources),
        ),
        checksum=checksum_of([background, *(path for path, _ in present), *([mirai] if mirai.is_file() else [])]),
        split_by="source capture, host and time: other captures, other hosts and later days examine",
        proof=f"of {len(sources)} attack captures and of all victims none is on two sides",
        notes=(
            f"backgrounds {', '.join(name for name, _ in days)} as they are, with the scans and probes that they hold",
            "flows of an attack that hold more than 10 packets (those of Zeek do) are cut into such of 10 at most",
            f"LUFlow tells AS numbers only, and {CAMPUS} is an end of every flow: what is attacked are its services, "
            f"ports in {SERVICES} groups by a hash; sources of attacks are told by the first 16 bits, as coarse as "
            "an AS, for else any flood would be known by having more sources than an AS number can show",
            f"attack captures {', '.join(f'{one.name} ({one.kind}, {one.seconds:.3g} s)' for one in sources)}",
        ),
    )


def laboratory_floods(places: Places) -> GatheredFloods:
    """Runs of the laboratory that hold floods (scenario `ddos`): packets of real programs, with the times of each."""
    parts, attacks, used = [], [], []
    for folder in run_folders(places):
        episodes = folder / "episodes.jsonl"
        if not episodes.is_file() or not episodes.read_text().strip():
            continue
        known = [one for one in read_attacks(episodes) if one.kind.endswith(("-flood", "reflection", "slow-http"))]
        if len(known) < 4:
            continue
        tap = largest_tap(folder)
        flows = slim(read(tap, settings=SLICED).to_arrow())
        parts.append(Background(name=folder.name, side=ASKING, flows=flows))
        attacks += [replace(one, source=folder.name) for one in known]
        used += [tap, episodes]
    if not parts:
        raise InputError(
            "studies: no run of the laboratory with floods is here",
            hint="`flowlore lab run ddos -o FOLDER`, then `--lab FOLDER`",
        )
    return GatheredFloods(
        title="Laboratory, floods of real programs",
        material=FloodMaterial(
            backgrounds=tuple(parts[:1]), attacks=tuple(a for a in attacks if a.source == parts[0].name)
        ),
        checksum=checksum_of(used),
        split_by="time: attacks of the second half examine",
        proof="no attack that examines begins before the last that teaches has ended, or it is left out",
        notes=("labels come from the programs that flooded", "time is compressed: steps of 2 s"),
    )


def slim(table: pa.Table) -> pa.Table:
    """Only what rates need."""
    return table.select([name for name in COLUMNS if name in table.column_names]).combine_chunks()


def by_service(table: pa.Table) -> pa.Table:
    """What is sent to `CAMPUS` is sent to one of its services: ports in groups by a hash."""
    ports = np.asarray(pc.fill_null(table["dst_port"], 0).to_numpy(), np.int64)
    known, places = np.unique(ports, return_inverse=True)
    names = np.array([f"{CAMPUS}/{zlib.crc32(str(port).encode()) % SERVICES}" for port in known.tolist()])
    own = pc.fill_null(pc.equal(table["dst_name"], CAMPUS), False)
    at = table.schema.get_field_index("dst_name")
    return table.set_column(at, "dst_name", pc.if_else(own, pa.array(names[places]), table["dst_name"]))


def by_network(source: AttackSource) -> AttackSource:
    """With sources by the first 16 bits of their IPv4 addresses."""
    packed = np.frombuffer(b"".join(source.src_ip.to_pylist()), np.uint8).reshape(-1, 16).copy()
    packed[:, 14:] = 0
    return replace(source, src_ip=pa.array([row.tobytes() for row in packed], source.src_ip.type))


def _tuples(about: dict[str, Any]) -> dict[str, Any]:
    return about | {"watched": tuple(about["watched"])}


def _days(table: pa.Table) -> list[tuple[str, pa.Table]]:
    """Stretches of at least half a day, each of one day."""
    start = np.asarray(table["start"].cast(pa.int64()).to_numpy(), np.int64)
    found = []
    for day in np.unique(start // DAY_NS).tolist():
        own: npt.NDArray[np.bool_] = start // DAY_NS == day
        if np.ptp(start[own]) >= LEAST_DAY * DAY_NS:
            name = str(np.datetime64(day, "D"))
            found.append((name, table.filter(pa.array(own)).sort_by("start")))
    return found


def _mirai(path: Path) -> AttackSource:
    """The flood of a Mirai bot, as Zeek metered it."""
    flows = read(path)
    table = flows.to_arrow()
    label = pc.fill_null(pc.utf8_lower(table["label"].cast(pa.string())), "")
    chosen = table.filter(pc.match_substring(label, "ddos"))
    return attack_source(chosen, "IoT-23 34-1", MIRAI[1])
