"""What `ipaddress` says about any text and any address, the kernels say too."""

import ipaddress

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from flowlore.flows.addresses import address_bytes, format_addresses, format_macs, parse_addresses, parse_macs

addresses = st.one_of(st.ip_addresses(), st.ip_addresses(v=6))
near_addresses = st.one_of(
    addresses.map(str),
    addresses.map(lambda address: address.exploded.upper()),
    st.text(alphabet="0123456789abcdefAF:.:%x", max_size=45),
    st.lists(st.sampled_from(["0", "1", "ff", "abcd", "", "12345", "1.2.3.4", "0.0.0.0"]), max_size=9).map(":".join),
    st.lists(st.sampled_from(["0", "1", "00", "255", "256", ""]), max_size=5).map(".".join),
    st.text(max_size=20),
)


def as_python_reads(text):
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address_bytes(address)


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.none() | near_addresses, max_size=20))
def test_text_is_read_as_python_reads_it(texts):
    found, bad = parse_addresses(pa.array(texts, pa.string()))
    expected = [None if text is None else as_python_reads(text) for text in texts]
    assert found.to_pylist() == expected
    assert bad.tolist() == [text is not None and value is None for text, value in zip(texts, expected, strict=True)]


sparse = st.lists(st.sampled_from([0, 0, 0, 1, 0xFFFF, 0xA0B]), min_size=8, max_size=8).map(
    lambda groups: b"".join(group.to_bytes(2, "big") for group in groups)
)


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.none() | sparse | st.binary(min_size=16, max_size=16), max_size=20))
def test_addresses_are_written_as_python_writes_them(values):
    def as_python_writes(value):
        address = ipaddress.IPv6Address(value)
        return str(address.ipv4_mapped or address)

    text = format_addresses(pa.array(values, pa.binary(16)))
    text.validate(full=True)
    assert text.to_pylist() == [None if value is None else as_python_writes(value) for value in values]
    assert parse_addresses(text)[0].to_pylist() == values


@settings(deadline=None)  # the first example compiles
@given(st.lists(st.none() | st.binary(min_size=6, max_size=6), max_size=20))
def test_macs_go_and_come_back(values):
    text = format_macs(pa.array(values, pa.binary(6)))
    assert text.to_pylist() == [None if value is None else value.hex(":") for value in values]
    assert parse_macs(text)[0].to_pylist() == values
