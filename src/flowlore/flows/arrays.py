"""NumPy arrays → Arrow arrays, without a copy.

`pa.array` does the same, but looks for pandas first, whose import takes longer than most captures.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


def plain_array(values: npt.NDArray[Any], *, is_null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Numbers as an Arrow array of the same type; null where `is_null` says so.

    >>> plain_array(np.array([7, 8], np.uint16), is_null=np.array([False, True])).to_pylist()
    [7, None]
    """
    return _from_memory(pa.from_numpy_dtype(values.dtype), values, validity(is_null))


def array_of_type(values: Any, type_: pa.DataType) -> pa.Array:
    """Values as an Arrow array of this type: memory as it is where NumPy's type is the same, else converted."""
    if isinstance(values, np.ndarray) and values.ndim == 1:
        same = pa.types.is_timestamp(type_) and values.dtype == np.dtype("M8[ns]")
        if same or (values.dtype.kind in "iuf" and pa.from_numpy_dtype(values.dtype) == type_):
            return _from_memory(type_, values, None)
    return pa.array(values, type_)


def chosen_words(places: npt.NDArray[Any], words: Sequence[str], is_null: npt.NDArray[np.bool_] | None) -> pa.Array:
    """The word at each place, as text.

    >>> chosen_words(np.array([1, 0, 1]), ["idle", "reuse"], np.array([False, False, True])).to_pylist()
    ['reuse', 'idle', None]
    """
    if is_null is None and len(places) and places.min() == places.max():
        return repeated_word(words[int(places[0])], len(places))
    encoded = [word.encode() for word in words]
    offsets = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    dictionary = pa.Array.from_buffers(pa.string(), len(encoded), buffers)
    indices = plain_array(places.astype(np.int32), is_null=is_null)
    return pa.DictionaryArray.from_arrays(indices, dictionary).dictionary_decode()


def repeated_word(word: str, rows: int) -> pa.Array:
    """One word in every row, as text.

    >>> repeated_word("idle", 2).to_pylist()
    ['idle', 'idle']
    """
    encoded = word.encode()
    offsets = np.arange(rows + 1, dtype=np.int32) * np.int32(len(encoded))
    return pa.Array.from_buffers(pa.string(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(encoded * rows)])


def validity(is_null: npt.NDArray[np.bool_] | None) -> pa.Buffer | None:
    """Arrow's bitmap of what is there; None where everything is."""
    return pa.py_buffer(np.packbits(~is_null, bitorder="little")) if is_null is not None and is_null.any() else None


def _from_memory(type_: pa.DataType, values: npt.NDArray[Any], bitmap: pa.Buffer | None) -> pa.Array:
    return pa.Array.from_buffers(type_, len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))])
