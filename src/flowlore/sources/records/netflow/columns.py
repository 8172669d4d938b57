"""From the bytes of many records to one array a field."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ....flows.compiled import borrowing, kernel
from .templates import VARIABLE, Field, Template

_NATIVE_BYTES = (0, 1, 2, 4, 4, 8, 8, 8, 8)  # bytes on the wire → bytes of the array's numbers
_NUMBERS = ("unsigned", "signed", "float", "boolean", "seconds", "milliseconds", "microseconds", "nanoseconds", "ipv4")


@dataclass(frozen=True, slots=True)
class Ragged:
    """Values of differing lengths: value i is `data[offsets[i]:offsets[i + 1]]`."""

    offsets: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]


Column = npt.NDArray[np.generic] | Ragged


def extract_columns(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    template: Template,
    places: list[int],
    walked: "Walk | None" = None,
) -> list[Column]:
    """The fields at `places` of every record of the sets that begin at `starts` and hold `rows` records each.

    Numbers come in the smallest native type that holds them, addresses of IPv4 as uint32; everything else as a
    matrix of bytes (one row a record), or ragged where its length differs by record.
    """
    total = int(rows.sum())
    if walked is not None:
        return [_column_at(buffer, walked, template, place) for place in places]
    found: dict[int, Column] = {}
    numbers = [place for place in places if is_number(template.fields[place])]
    if numbers:
        found.update(zip(numbers, _extract_numbers(buffer, starts, rows, total, template, numbers), strict=True))
    for place in places:
        if place not in found:
            field = template.fields[place]
            matrix = np.empty((total, field.length), np.uint8)
            if field.length:
                _copy_bytes(buffer, starts, rows, template.record_bytes, field.offset, matrix)
            found[place] = matrix
    return [found[place] for place in places]


def is_number(field: Field) -> bool:
    return field.element.kind in _NUMBERS and 1 <= field.length <= 8


@dataclass(frozen=True, slots=True)
class Walk:
    """Where each field of each variable-length record lies: one row a record, one column a field that has bytes."""

    rows: npt.NDArray[np.int64]  # records in each set
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]
    broken_sets: int  # sets whose last record reaches over their end


def walk_records(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    template: Template,
) -> Walk:
    """Follow the lengths inside variable-length records, set by set."""
    fields = [item for item in template.fields if item.length]  # fields without bytes would cost memory for nothing
    field_lengths = np.array([-1 if item.length == VARIABLE else item.length for item in fields], np.int64)
    rows = np.zeros(len(starts), np.int64)
    none = np.zeros((0, len(field_lengths)), np.int64)
    broken = _walk(buffer, starts, lengths, field_lengths, template.record_bytes, rows, none, none)
    total = int(rows.sum())
    field_starts = np.empty((total, len(field_lengths)), np.int64)
    value_lengths = np.empty((total, len(field_lengths)), np.int64)
    _walk(buffer, starts, lengths, field_lengths, template.record_bytes, rows, field_starts, value_lengths)
    return Walk(rows, field_starts, value_lengths, broken)


def _extract_numbers(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    total: int,
    template: Template,
    places: list[int],
) -> list[npt.NDArray[np.generic]]:
    fields = [template.fields[place] for place in places]
    native = [_NATIVE_BYTES[field.length] for field in fields]
    out_starts = np.zeros(len(fields) + 1, np.int64)
    np.cumsum([(total * size + 7) // 8 for size in native], out=out_starts[1:])  # in units of 8 bytes
    memory = np.empty(int(out_starts[-1]), np.uint64)
    _extract_fixed(
        buffer,
        starts,
        rows,
        template.record_bytes,
        np.array([field.offset for field in fields], np.int64),
        np.array([field.length for field in fields], np.int64),
        out_starts,
        memory,
        memory.view(np.uint32),
        memory.view(np.uint16),
        memory.view(np.uint8),
    )
    columns = []
    for field, size, first in zip(fields, native, out_starts[:-1], strict=True):
        values = memory[first:].view(f"u{size}")[:total]
        columns.append(_typed(values, field.element.kind, field.length, size))
    return columns


def _typed(values: npt.NDArray[np.generic], kind: str, length: int, size: int) -> npt.NDArray[np.generic]:
    """Unsigned numbers as what their element says they are."""
    if kind == "float" and length in (4, 8):
        return values.view(f"f{length}")
    if kind == "signed":
        shift = (size - length) * 8
        signed = values.view(f"i{size}")
        return np.asarray((signed << shift) >> shift) if shift else signed
    return values


def _column_at(buffer: npt.NDArray[np.uint8], walked: Walk, template: Template, place: int) -> Column:
    field = template.fields[place]
    if not field.length:
        return np.empty((len(walked.starts), 0), np.uint8)
    place -= sum(1 for before in template.fields[:place] if not before.length)
    starts = np.ascontiguousarray(walked.starts[:, place])
    if is_number(field):
        size = _NATIVE_BYTES[field.length]
        numbers = np.empty(len(starts), np.uint64)
        _numbers_at(buffer, starts, field.length, numbers)
        return _typed(numbers.astype(f"u{size}"), field.element.kind, field.length, size)
    if field.length != VARIABLE:
        matrix = np.empty((len(starts), field.length), np.uint8)
        _bytes_at(buffer, starts, matrix)
        return matrix
    lengths = np.ascontiguousarray(walked.lengths[:, place])
    offsets = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    data = np.empty(int(offsets[-1]), np.uint8)
    _ragged_at(buffer, starts, offsets, data)
    return Ragged(offsets, data)


@borrowing
def _extract_fixed(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    record_bytes: int,
    offsets: npt.NDArray[np.int64],
    widths: npt.NDArray[np.int64],
    out_starts: npt.NDArray[np.int64],
    out64: npt.NDArray[np.uint64],
    out32: npt.NDArray[np.uint32],
    out16: npt.NDArray[np.uint16],
    out8: npt.NDArray[np.uint8],
) -> None:
    """Sets lie inside the buffer (see `find_sets`), so no read here can pass its end."""
    done = 0
    for place in range(starts.shape[0]):
        count = rows[place]
        for column in range(offsets.shape[0]):
            at = starts[place] + offsets[column]
            width = widths[column]
            out = out_starts[column]
            if width == 4:
                out = out * 2 + done
                for row in range(count):
                    out32[out + row] = (
                        (np.uint32(buffer[at]) << np.uint32(24))
                        | (np.uint32(buffer[at + 1]) << np.uint32(16))
                        | (np.uint32(buffer[at + 2]) << np.uint32(8))
                        | np.uint32(buffer[at + 3])
                    )
                    at += record_bytes
            elif width == 2:
                out = out * 4 + done
                for row in range(count):
                    out16[out + row] = (np.uint16(buffer[at]) << np.uint16(8)) | np.uint16(buffer[at + 1])
                    at += record_bytes
            elif width == 1:
                out = out * 8 + done
                for row in range(count):
                    out8[out + row] = buffer[at]
                    at += record_bytes
            elif width == 8:
                out = out + done
                for row in range(count):
                    out64[out + row] = (
                        (np.uint64(buffer[at]) << np.uint64(56))
                        | (np.uint64(buffer[at + 1]) << np.uint64(48))
                        | (np.uint64(buffer[at + 2]) << np.uint64(40))
                        | (np.uint64(buffer[at + 3]) << np.uint64(32))
                        | (np.uint64(buffer[at + 4]) << np.uint64(24))
                        | (np.uint64(buffer[at + 5]) << np.uint64(16))
                        | (np.uint64(buffer[at + 6]) << np.uint64(8))
                        | np.uint64(buffer[at + 7])
                    )
                    at += record_bytes
            elif width == 3:
                out = out * 2 + done
                for row in range(count):
                    out32[out + row] = _number(buffer, at, 3)
                    at += record_bytes
            else:
                out = out + done
                for row in range(count):
                    out64[out + row] = _number(buffer, at, width)
                    at += record_bytes
        done += count


@kernel
def _number(buffer: npt.NDArray[np.uint8], at: int, width: int) -> np.uint64:
    value = np.uint64(0)
    for step in range(width):
        value = (value << np.uint64(8)) | np.uint64(buffer[at + step])
    return value


@borrowing
def _copy_bytes(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    record_bytes: int,
    offset: int,
    matrix: npt.NDArray[np.uint8],
) -> None:
    done = 0
    width = matrix.shape[1]
    for place in range(starts.shape[0]):
        at = starts[place] + offset
        for _ in range(rows[place]):
            for step in range(width):
                matrix[done, step] = buffer[at + step]
            done += 1
            at += record_bytes


@borrowing
def _walk(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    field_lengths: npt.NDArray[np.int64],
    least_bytes: int,
    rows: npt.NDArray[np.int64],
    field_starts: npt.NDArray[np.int64],
    value_lengths: npt.NDArray[np.int64],
) -> int:
    """Count records into `rows`; also write where fields lie, where there is room. Gives the sets that are broken."""
    done = 0
    broken = 0
    for place in range(starts.shape[0]):
        at = starts[place]
        end = at + lengths[place]
        count = 0
        while end - at >= least_bytes:
            begin = at
            for field in range(field_lengths.shape[0]):
                length = field_lengths[field]
                if length < 0:
                    if at + 1 > end:
                        at = -1
                        break
                    length = np.int64(buffer[at])
                    at += 1
                    if length == 255:
                        if at + 2 > end:
                            at = -1
                            break
                        length = (np.int64(buffer[at]) << 8) | np.int64(buffer[at + 1])
                        at += 2
                if at + length > end:
                    at = -1
                    break
                if done < field_starts.shape[0]:
                    field_starts[done, field] = at
                    value_lengths[done, field] = length
                at += length
            if at < 0:
                if end - begin > 3:
                    broken += 1
                break
            done += 1
            count += 1
        rows[place] = count
    return broken


@borrowing
def _numbers_at(
    buffer: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], width: int, numbers: npt.NDArray[np.uint64]
) -> None:
    for row in range(starts.shape[0]):
        numbers[row] = _number(buffer, starts[row], width)


@borrowing
def _bytes_at(buffer: npt.NDArray[np.uint8], starts: npt.NDArray[np.int64], matrix: npt.NDArray[np.uint8]) -> None:
    for row in range(starts.shape[0]):
        for step in range(matrix.shape[1]):
            matrix[row, step] = buffer[starts[row] + step]


@borrowing
def _ragged_at(
    buffer: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    data: npt.NDArray[np.uint8],
) -> None:
    for row in range(starts.shape[0]):
        first = offsets[row]
        for step in range(offsets[row + 1] - first):
            data[first + step] = buffer[starts[row] + step]
