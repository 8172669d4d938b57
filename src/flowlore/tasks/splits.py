"""Which flows teach and which flows examine: by time, capture, host or network, each with a proof that nothing leaks.

A split by flow of one capture lets a model recognise the connection instead of the kind of traffic. So nothing is drawn
by flow here, but for one function whose name says what it does. Rows of an unknown group are on no side, and counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LeakError, TaskError

Rows = npt.NDArray[np.int64]
IPV4_PREFIX_BYTES = 15  # a /24: the mapped IPv4 address without its last byte
IPV6_PREFIX_BYTES = 6  # a /48
IPV4_MAPPED = bytes(10) + b"\xff\xff"


@dataclass(frozen=True, kw_only=True)
class Split:
    """Rows of each side, in order, and how the split was made and proved."""

    by: str
    train: Rows
    test: Rows
    validation: Rows
    left_out: int = 0  # rows on no side, for example because their group is not known
    twins_removed: int = 0  # rows of the training side that had a twin on another side

    def as_json(self) -> dict[str, Any]:
        return {
            "by": self.by,
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "left_out": self.left_out,
            "twins_removed": self.twins_removed,
        }


def split_by_time(
    start_ns: npt.NDArray[np.int64],
    *,
    end_ns: npt.NDArray[np.int64] | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.0,
) -> Split:
    """The last share of the rows examines. With `end_ns`, a flow that still runs when a later side begins is left out.

    Rows that start in the same nanosecond stay together, so that a share may be a little off.
    """
    _check_shares(test_share, validation_share)
    if end_ns is not None:
        _require_as_many("ends", end_ns, start_ns)
        if (end_ns < start_ns).any():
            raise TaskError(
                f"tasks: {int((end_ns < start_ns).sum()):,} flows end before they begin", hint="are the two swapped?"
            )
    order = np.argsort(start_ns, kind="stable")
    sorted_ns = start_ns[order]
    first_of_test = _boundary(sorted_ns, 1.0 - test_share, "time")
    test_from = sorted_ns[first_of_test]
    if validation_share:
        first_of_validation = _boundary(sorted_ns, 1.0 - test_share - validation_share, "time")
        validation_from = sorted_ns[first_of_validation]
    else:
        validation_from = test_from
    ends = start_ns if end_ns is None else end_ns
    train = np.flatnonzero((start_ns < validation_from) & (ends < validation_from))
    validation = np.flatnonzero((start_ns >= validation_from) & (start_ns < test_from) & (ends < test_from))
    test = np.flatnonzero(start_ns >= test_from)
    left_out = len(start_ns) - len(train) - len(validation) - len(test)
    split = _checked(Split(by="time", train=train, test=test, validation=validation, left_out=left_out))
    prove_order(ends[split.train], start_ns[np.concatenate([split.validation, split.test])])
    prove_order(ends[split.validation], start_ns[split.test])
    return split


def split_by_group(
    groups: npt.NDArray[Any],
    *,
    by: str,
    start_ns: npt.NDArray[np.int64] | None = None,
    classes: npt.NDArray[Any] | None = None,
    rng: np.random.Generator | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.0,
) -> Split:
    """Whole groups (captures, hosts, networks) go to one side; where `classes` are given, for each class by itself.

    With `start_ns` the latest groups examine, else they are drawn with `rng`. A class with fewer groups than sides
    gives to training first, then to the test; a group that holds several classes goes where its first class puts it.
    An empty string, None or -1 means that the group is not known.
    """
    _check_shares(test_share, validation_share)
    if (start_ns is None) == (rng is None):
        raise TypeError("groups are put in order either by `start_ns` or by `rng`")
    for name, values in (("starts", start_ns), ("classes", classes)):
        if values is not None:
            _require_as_many(name, values, groups)
    known = _is_known(groups)
    names, codes = np.unique(_names(groups[known]), return_inverse=True)
    if len(names) < 2:
        raise TaskError(
            f"tasks: a split by {by} needs two of them at least, but the flows hold {len(names)}",
            hint="give more captures, or split by another thing, e.g. `--split time`",
        )
    rank = _ranks(codes, len(names), None if start_ns is None else start_ns[known], rng)
    side_of_group = np.full(len(names), -1, np.int64)
    kinds = (
        np.zeros(len(codes), np.int64)
        if classes is None
        else np.unique(classes[known].astype(str), return_inverse=True)[1]
    )
    for kind in range(int(kinds.max()) + 1):
        members = np.unique(codes[kinds == kind])
        free = members[side_of_group[members] < 0]
        free = free[np.argsort(rank[free], kind="stable")]
        side_of_group[free] = _sides(len(free), test_share, validation_share)
    sides = np.full(len(groups), -1, np.int64)
    sides[known] = side_of_group[codes]
    train, validation, test = (np.flatnonzero(sides == side) for side in range(3))
    split = _checked(Split(by=by, train=train, test=test, validation=validation, left_out=int((~known).sum())))
    prove_disjoint(groups, split, what=by)
    return split


def split_by_capture(
    captures: npt.NDArray[Any],
    start_ns: npt.NDArray[np.int64],
    *,
    classes: npt.NDArray[Any] | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.0,
) -> Split:
    """For each class, captures in order of their first flow: the first ones teach, the last ones examine."""
    return split_by_group(
        captures,
        by="capture",
        start_ns=start_ns,
        classes=classes,
        test_share=test_share,
        validation_share=validation_share,
    )


def split_by_host(
    addresses: npt.NDArray[Any],
    *,
    rng: np.random.Generator,
    classes: npt.NDArray[Any] | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.0,
) -> Split:
    """Every host, told by one end of the flow (as a rule who spoke first), is on one side only."""
    return split_by_group(
        addresses, by="host", rng=rng, classes=classes, test_share=test_share, validation_share=validation_share
    )


def split_by_network(
    addresses: npt.NDArray[Any],
    *,
    rng: np.random.Generator,
    classes: npt.NDArray[Any] | None = None,
    test_share: float = 0.2,
    validation_share: float = 0.0,
) -> Split:
    """As by host, but a whole /24 (IPv4) or /48 (IPv6) is on one side. Addresses are 16 bytes, or hexadecimal text."""
    return split_by_group(
        networks(addresses),
        by="network",
        rng=rng,
        classes=classes,
        test_share=test_share,
        validation_share=validation_share,
    )


def split_at_random_which_leaks(
    rows: int, *, rng: np.random.Generator, test_share: float = 0.2, validation_share: float = 0.0
) -> Split:
    """Rows drawn one by one: flows of one capture, host and minute stand on both sides. Shows what that hides."""
    _check_shares(test_share, validation_share)
    order = rng.permutation(rows)
    tests, validations = round(rows * test_share), round(rows * validation_share)
    parts = np.split(order, [rows - tests - validations, rows - tests])
    train, validation, test = (np.sort(part).astype(np.int64) for part in parts)
    return _checked(Split(by="random-which-leaks", train=train, test=test, validation=validation))


def networks(addresses: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The network of each address as text: /24 of IPv4, /48 of IPv6. An unknown address stays unknown."""
    return np.array([_network(address) for address in addresses], dtype=object)


def prove_disjoint(groups: npt.NDArray[Any], split: Split, *, what: str) -> None:
    """No group stands on two sides; else a `LeakError` names one that does."""
    sides = {"training": split.train, "validation": split.validation, "test": split.test}
    seen: dict[str, str] = {}
    for side, rows in sides.items():
        chosen = groups[rows]
        for group in np.unique(_names(chosen[_is_known(chosen)])):
            if group in seen:
                raise LeakError(
                    f"tasks: {what} `{group}` stands on the {seen[group]} side and on the {side} side",
                    hint=f"a {what} belongs to one side as a whole; split with `--split {what}`",
                )
            seen[group] = side


def prove_order(train_end_ns: npt.NDArray[np.int64], test_start_ns: npt.NDArray[np.int64]) -> None:
    """Every training flow is over before the first test flow begins; else a `LeakError` names the times."""
    if len(train_end_ns) and len(test_start_ns) and train_end_ns.max() >= test_start_ns.min():
        late, early = _instant(train_end_ns.max()), _instant(test_start_ns.min())
        raise LeakError(
            f"tasks: a training flow lasts until {late}, but the test begins at {early}",
            hint="split with `--split time`, which leaves out flows that reach over the boundary",
        )


def twin_keys(flows: Any, *, packets: int = 10) -> Rows:
    """A number for each flow; equal numbers are near duplicates: the same first signed sizes. -1 is no twin of any.

    Takes `Flows` or an Arrow table. Without packet series, the counters of both directions are the key.
    """
    from .raw import first_packets, numbers

    sizes = first_packets(flows, packets)
    counters = numbers(flows, ("packets_fwd", "packets_rev", "bytes_fwd", "bytes_rev"))
    has_series = (sizes != 0).any(axis=1)
    has_counters = np.isfinite(counters).any(axis=1)
    key = np.zeros((len(sizes), packets + 5), np.float64)
    key[:, :packets] = sizes
    key[:, packets:-1] = np.where(has_series[:, None], 0.0, np.nan_to_num(counters, nan=-1.0))
    key[:, -1] = has_series
    codes = np.unique(key, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)
    return np.where(has_series | has_counters, codes, -1)


def novel(split: Split, keys: Rows) -> npt.NDArray[np.bool_]:
    """For each test row, whether no training row is its twin. Scores are told for all test rows and for these."""
    found: npt.NDArray[np.bool_] = ~np.isin(keys[split.test], keys[split.train][keys[split.train] >= 0])
    return found


def without_twins(split: Split, keys: Rows) -> Split:
    """The same split without the training rows that have a twin in validation or test. Those sides stay whole."""
    others = keys[np.concatenate([split.validation, split.test])]
    keep = ~np.isin(keys[split.train], others[others >= 0])
    made = _checked(replace(split, train=split.train[keep], twins_removed=split.twins_removed + int((~keep).sum())))
    prove_no_twin(made, keys)
    return made


def prove_no_twin(split: Split, keys: Rows) -> None:
    """No test row has a twin in training; else a `LeakError` names the two rows."""
    trained = keys[split.train]
    shared = np.flatnonzero((keys[split.test] >= 0) & np.isin(keys[split.test], trained))
    if len(shared):
        row = int(split.test[shared[0]])
        twin = int(split.train[np.flatnonzero(trained == keys[row])[0]])
        raise LeakError(
            f"tasks: test flow {row} has a twin in training: flow {twin} ({len(shared):,} test flows have one)",
            hint="remove twins from training, or report natural and novel flows apart",
        )


def _check_shares(test_share: float, validation_share: float) -> None:
    if not (0.0 < test_share < 1.0 and validation_share >= 0.0 and test_share + validation_share < 1.0):
        raise TaskError(
            f"tasks: shares of {test_share} for the test and {validation_share} for validation leave no training",
            hint="for example 0.2 and 0.1",
        )


def _require_as_many(name: str, values: npt.NDArray[Any], others: npt.NDArray[Any]) -> None:
    if len(values) != len(others):
        raise TaskError(f"tasks: there are {len(values):,} {name} of {len(others):,} flows", hint="one for each flow")


def _checked(split: Split) -> Split:
    for side in ("train", "test"):
        if not len(getattr(split, side)):
            raise TaskError(
                f"tasks: the {side} side of the split by {split.by} is empty",
                hint="give more flows, other shares, or split by another thing",
            )
    return split


def _boundary(sorted_ns: npt.NDArray[np.int64], share: float, by: str) -> int:
    if not len(sorted_ns):
        raise TaskError(f"tasks: there are no flows to split by {by}")
    place = min(round(len(sorted_ns) * share), len(sorted_ns) - 1)
    return int(np.searchsorted(sorted_ns, sorted_ns[place], side="left"))


def _sides(count: int, test_share: float, validation_share: float) -> Rows:
    """0 training, 1 validation, 2 test for each place in order. Training gets the first, the test the second."""
    tests = 0 if count < 2 else max(1, round(count * test_share))
    tests = min(tests, max(count - 1, 0))
    room = count - tests - 1
    validations = min(max(1, round(count * validation_share)), max(room, 0)) if validation_share else 0
    sides = np.zeros(count, np.int64)
    sides[count - tests :] = 2
    sides[count - tests - validations : count - tests] = 1
    return sides


def _ranks(
    codes: Rows, count: int, start_ns: npt.NDArray[np.int64] | None, rng: np.random.Generator | None
) -> npt.NDArray[np.int64]:
    if rng is not None:
        return rng.permutation(count).astype(np.int64)
    assert start_ns is not None
    first = np.full(count, np.iinfo(np.int64).max, np.int64)
    np.minimum.at(first, codes, start_ns)
    return first


def _is_known(groups: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if groups.dtype == object:
        return np.array([group is not None and group != "" and group != b"" for group in groups], np.bool_)
    if groups.dtype.kind in "US":
        return np.asarray(groups != groups.dtype.type(), np.bool_)
    if groups.dtype.kind in "iu":
        return np.asarray(groups != -1, np.bool_) if groups.dtype.kind == "i" else np.ones(len(groups), np.bool_)
    raise TypeError(f"groups are text, bytes or whole numbers, not {groups.dtype}")


def _names(groups: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if groups.dtype != object:
        return groups.astype(str)
    return np.array([group.hex() if isinstance(group, bytes) else str(group) for group in groups], dtype=str)


def _network(address: bytes | str | None) -> str | None:
    if not address:
        return None
    octets = bytes.fromhex(address) if isinstance(address, str) else bytes(address)
    length = IPV4_PREFIX_BYTES if octets.startswith(IPV4_MAPPED) else IPV6_PREFIX_BYTES
    return octets[:length].hex()


def _instant(ns: np.int64) -> str:
    return f"{np.datetime64(int(ns), 'ns')} UTC"
