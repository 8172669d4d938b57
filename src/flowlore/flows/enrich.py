"""AS numbers and countries of addresses, from MMDB files that the user gives."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any

import maxminddb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError

CACHED_ADDRESSES = 1_000_000

_MAPPED = bytes(10) + b"\xff\xff"


class Enricher:
    """Fills `src_as`, `dst_as`, `src_country` and `dst_country` where they are null.

    Each distinct address is looked up once (as long as the cache holds it). Private addresses stay null.
    """

    def __init__(self, *, asn: str | Path | None = None, geo: str | Path | None = None) -> None:
        self._lookups: list[tuple[str, _Lookup]] = []
        if asn is not None:
            self._lookups.append(("as", _Lookup(Path(asn), "--asn", _as_number, pa.uint32())))
        if geo is not None:
            self._lookups.append(("country", _Lookup(Path(geo), "--geo", _country, pa.string())))

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        names = batch.schema.names
        for side in ("src", "dst"):
            if f"{side}_ip" not in names or batch[f"{side}_ip"].null_count == batch.num_rows:
                continue
            addresses = batch[f"{side}_ip"].dictionary_encode()
            for what, lookup in self._lookups:
                name = f"{side}_{what}"
                if name not in names or not batch[name].null_count:
                    continue
                found = lookup.values(addresses.dictionary).take(addresses.indices)
                place = batch.schema.get_field_index(name)
                batch = batch.set_column(place, batch.schema.field(place), pc.coalesce(batch[name], found))
        return batch

    def close(self) -> None:
        for _, lookup in self._lookups:
            lookup.close()


class _Lookup:
    """One database and what it said about addresses so far."""

    def __init__(self, path: Path, option: str, read: Callable[[Any], Any], kind: pa.DataType) -> None:
        self._path = path
        self._read = read
        self._kind = kind
        self._known: dict[bytes, Any] = {}
        hint = f"`{option}` takes a database in MaxMind's format, such as GeoLite2 or DB-IP Lite: a file `.mmdb`"
        try:
            self._database = maxminddb.open_database(path)
        except FileNotFoundError as error:
            raise InputError(f"enrich: there is no file `{path}`", hint=hint) from error
        except PermissionError as error:
            raise InputError(
                f"enrich: `{path}` cannot be read: permission denied", hint=f"`ls -ld {path}` shows who may read it"
            ) from error
        except (maxminddb.InvalidDatabaseError, OSError, ValueError) as error:
            raise InputError(f"enrich: `{path}` is not an MMDB file", hint=hint) from error

    def values(self, addresses: pa.Array) -> pa.Array:
        """The answer for each address, in order."""
        if len(self._known) + len(addresses) > CACHED_ADDRESSES:
            self._known.clear()
        known, answers = self._known, []
        for address in addresses.to_pylist():
            if address not in known:
                known[address] = self._look_up(address)
            answers.append(known[address])
        return pa.array(answers, self._kind)

    def close(self) -> None:
        self._database.close()

    def _look_up(self, packed: bytes | None) -> Any:
        if packed is None:
            return None
        address = IPv4Address(packed[12:]) if packed.startswith(_MAPPED) else IPv6Address(packed)
        if address.is_private or (address.version == 6 and self._database.metadata().ip_version == 4):
            return None
        try:
            record = self._database.get(address)
        except (maxminddb.InvalidDatabaseError, UnicodeDecodeError) as error:
            raise InputError(f"enrich: `{self._path}` is damaged: {error}", hint="fetch the database again") from error
        return self._read(record) if isinstance(record, dict) else None


def _as_number(record: dict[str, Any]) -> int | None:
    """GeoLite2 and DB-IP: a number; IPinfo: `AS64500`."""
    number = record.get("autonomous_system_number", record.get("asn"))
    if isinstance(number, str):
        text = number.upper().removeprefix("AS")
        number = int(text) if text.isdecimal() else None
    return number if isinstance(number, int) and 0 <= number <= np.iinfo(np.uint32).max else None


def _country(record: dict[str, Any]) -> str | None:
    """GeoLite2 and DB-IP: a map with `iso_code`; IPinfo: the code itself."""
    for name in ("country", "registered_country", "country_code"):
        country = record.get(name)
        if isinstance(country, dict):
            country = country.get("iso_code")
        if isinstance(country, str) and len(country) == 2:
            return country
    return None
