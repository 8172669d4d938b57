"""What is learnt in the laboratory, asked elsewhere: in an office with other software, and in captures of others.

Labels of the laboratory are applications as processes have them; those of others are protocols. Where the two are
compared, both sides get the name of the protocol, and only protocols of both sides stay.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError
from ...features.settings import FeatureSettings
from ...flows.annotate import annotate
from ...flows.table import Flows
from ...sources.datasets.loading import LoadedDataset
from ...sources.reading import read
from ...tasks.raw import texts
from ...tasks.splits import Split
from ..material import Gathered, Places, checksum_of
from .captures import PAYLOAD_BYTES, READING, all_verdicts, loaded_captures, verdict_folder
from .laboratory import FEWEST_FLOWS, largest_tap, run_folders
from .tables import labelled_only, with_column

# Names of protocols by the laboratory's labels; labels that are not here are told by what the payload proved.
OF_LABEL = {
    "bittorrent": "bittorrent",
    "coap": "coap",
    "dns": "dns",
    "ftp": "ftp",
    "git": "git",
    "imap": "imap",
    "ldap": "ldap",
    "mariadb": "mysql",
    "memcached": "memcached",
    "mqtt": "mqtt",
    "ntp": "ntp",
    "openvpn": "openvpn",
    "postgres": "postgres",
    "redis": "redis",
    "rsync": "rsync",
    "sftp": "ssh",
    "smb": "smb",
    "smtp": "smtp",
    "snmp": "snmp",
    "socks": "socks",
    "ssh": "ssh",
    "syslog": "syslog",
    "tftp": "tftp",
    "voice": "sip",
    "web-quic": "quic",
}
WEB = frozenset({"web", "web-api", "web-upload", "video", "software-update", "dns-https", "dns-tls"})
OF_VERDICT = {
    "BitTorrent": "bittorrent",
    "COAP": "coap",
    "DNS": "dns",
    "FTP_CONTROL": "ftp",
    "Git": "git",
    "HTTP": "http",
    "IMAP": "imap",
    "LDAP": "ldap",
    "MQTT": "mqtt",
    "Memcached": "memcached",
    "MySQL": "mysql",
    "NTP": "ntp",
    "OpenVPN": "openvpn",
    "PostgreSQL": "postgres",
    "QUIC": "quic",
    "Redis": "redis",
    "RSYNC": "rsync",
    "SIP": "sip",
    "SMBv1": "smb",
    "SMBv23": "smb",
    "SMTP": "smtp",
    "SNMP": "snmp",
    "SOCKS": "socks",
    "SSH": "ssh",
    "Syslog": "syslog",
    "TFTP": "tftp",
    "TLS": "tls",
}
PROVED = frozenset(
    {"bittorrent", "dns", "ftp", "http", "mqtt", "ntp", "quic", "sip", "smb", "smtp", "snmp", "ssh", "tls"}
)
BEHAVIOUR = FeatureSettings(use_names=False, payload_bytes=PAYLOAD_BYTES)
WITHOUT_PAYLOAD = FeatureSettings(use_names=False)


def drift(places: Places) -> Gathered:
    """Learnt in the runs of `office`, asked in those of `drift`: other software, links, habits and addresses."""
    sides = [_runs_of(places, name) for name in ("office", "drift")]
    tables = [_labelled(folders) for folders in sides]
    return _gathered(
        tables[0],
        tables[1],
        title="The laboratory's office, asked after its drift",
        proof="the two sides are runs of their own, with other addresses, software and links",
        used=[path for folders in sides for folder in folders for path in (largest_tap(folder), folder / "labels.csv")],
        licence="made with this package",
        features=BEHAVIOUR,
        notes=("labels come from the processes that sent the packets",),
    )


def laboratory_to_ndpi(places: Places) -> Gathered:
    """Learnt in all runs of the laboratory, asked about nDPI's test captures: protocols that are in both."""
    folders = _runs_of(places, "")
    loaded = loaded_captures("ndpi", places)
    rows = [row | {"label": OF_VERDICT[row["label"]]} for row in all_verdicts(loaded) if row["label"] in OF_VERDICT]
    known = pa.Table.from_pylist(rows)
    if not known.num_rows:
        raise InputError(
            f"studies: none of nDPI's verdicts in `{verdict_folder(loaded)}` is of a protocol of the laboratory",
            hint="get all of nDPI's test captures",
        )
    asked = labelled_only(annotate(read(list(loaded.paths), settings=READING), known, how="five-tuple")[0])
    asked = with_column(asked, "capture", [Path(str(name)).name for name in texts(asked, "capture")])
    return _asked_of_others(
        folders,
        asked,
        loaded,
        title="The laboratory, asked about nDPI's test captures",
        features=BEHAVIOUR,
        note="nDPI's verdicts are made from payload and names",
    )


def laboratory_to_iot_sentinel(places: Places) -> Gathered:
    """Learnt in all runs of the laboratory, asked about devices being set up: the protocol, payload not shown."""
    folders = _runs_of(places, "")
    loaded = loaded_captures("iot-sentinel", places)
    flows = read(list(loaded.paths))
    proved = texts(flows, "app_protocol")
    asked = labelled_only(with_column(flows, "label", np.array([one if one in PROVED else None for one in proved])))
    return _asked_of_others(
        folders,
        asked,
        loaded,
        title="The laboratory, asked about the set-up of IoT devices",
        features=WITHOUT_PAYLOAD,
        note="the truth is what the payload proves, so payload is not shown",
    )


def _asked_of_others(
    folders: Sequence[Path], asked: Flows, loaded: LoadedDataset, *, title: str, features: FeatureSettings, note: str
) -> Gathered:
    """The laboratory's protocols teach, captures of others examine."""
    return _gathered(
        _protocols(_labelled(folders)),
        asked,
        title=title,
        proof="the two sides were captured by different people in different years",
        used=[*(largest_tap(folder) for folder in folders), *loaded.paths],
        licence=loaded.dataset.licence,
        features=features,
        notes=(note,),
    )


def _gathered(
    taught: Flows,
    asked: Flows,
    *,
    title: str,
    proof: str,
    used: Sequence[Path],
    licence: str,
    features: FeatureSettings,
    notes: tuple[str, ...],
) -> Gathered:
    kinds = [np.unique(texts(flows, "label").astype(str), return_counts=True) for flows in (taught, asked)]
    enough = [set(names[counts >= FEWEST_FLOWS].tolist()) for names, counts in kinds]
    both = sorted(enough[0] & enough[1])
    if len(both) < 2:
        raise InputError(
            f"studies: the two sides of `{title}` have {len(both)} classes in common",
            hint="give a longer run: `flowlore lab run office -o FOLDER`",
        )
    rest = sorted((enough[0] | enough[1]) - set(both))
    sides = [_of_classes(flows, both) for flows in (taught, asked)]
    table = pa.concat_tables([flows.to_arrow() for flows in sides], promote_options="default")
    first = len(sides[0])
    split = Split(by="run", train=np.arange(first), validation=np.arange(0), test=np.arange(first, table.num_rows))
    flows = Flows(table)
    return Gathered(
        title=title,
        flows=flows,
        split=split,
        groups=texts(flows, "capture"),
        split_by="origin: one set teaches, the other examines",
        proof=proof,
        features=features,
        checksum=checksum_of(list(used)),
        licence=licence,
        notes=(*notes, *([f"in one of the sets only, and left out: {', '.join(rest)}"] if rest else [])),
    )


def _of_classes(flows: Flows, names: Sequence[str]) -> Flows:
    return Flows(flows.to_arrow().filter(pa.array(np.isin(texts(flows, "label").astype(str), names))))


def _protocols(flows: Flows) -> Flows:
    """The laboratory's flows with names of protocols for labels; the others are gone."""
    labels, proved = texts(flows, "label"), texts(flows, "app_protocol")
    named: list[Any] = []
    for label, protocol in zip(labels, proved, strict=True):
        named.append(protocol if label in WEB and protocol in ("http", "tls") else OF_LABEL.get(label))
    return labelled_only(with_column(flows, "label", np.array(named, dtype=object)))


def _labelled(folders: Sequence[Path]) -> Flows:
    parts = []
    for folder in folders:
        flows = labelled_only(annotate(read(largest_tap(folder), settings=READING), folder / "labels.csv")[0])
        parts.append(with_column(flows, "capture", [folder.name] * len(flows)).to_arrow())
    return Flows(pa.concat_tables(parts))


def _runs_of(places: Places, scenario: str) -> list[Path]:
    """Runs of one scenario, or all."""
    found = [
        folder
        for folder in run_folders(places)
        if not scenario or json.loads((folder / "run.json").read_text())["scenario"]["name"] == scenario
    ]
    if not found:
        what = f"of `{scenario}`" if scenario else "of the laboratory"
        raise InputError(
            f"studies: no run {what} was named, and none is below `{places.data}`",
            hint=f"`flowlore lab run {scenario or 'office'} -o FOLDER`, then `--lab FOLDER`",
        )
    return found
