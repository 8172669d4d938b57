import pytest

from flowlore.errors import InputError
from flowlore.flows.enrich import Enricher
from flowlore.flows.table import Flows
from mmdb import write_mmdb


def test_as_numbers_and_countries_are_filled(make_flows, tmp_path):
    asn = write_mmdb(
        tmp_path / "asn.mmdb",
        {
            "8.8.8.0/24": {"autonomous_system_number": 15169, "autonomous_system_organization": "x"},
            "2a00:1450::/32": {"asn": "AS64500"},
            "10.0.0.0/8": {"autonomous_system_number": 1},
        },
    )
    geo = write_mmdb(
        tmp_path / "geo.mmdb",
        {"8.8.8.0/24": {"country": {"iso_code": "US"}}, "2a00:1450::/32": {"country": "IE"}, "9.0.0.0/8": {"x": "y"}},
    )
    flows = make_flows(
        [0, 1, 2, 3],
        src_ip=["10.0.0.1", "8.8.8.8", None, "8.8.8.8"],
        dst_ip=["8.8.8.8", "2a00:1450::1", "9.9.9.9", "1.1.1.1"],
        src_as=[None, None, None, 7],
    )
    enriched = Enricher(asn=asn, geo=geo)(flows)
    assert enriched["src_as"].to_pylist() == [None, 15169, None, 7]
    assert enriched["dst_as"].to_pylist() == [15169, 64500, None, None]
    assert enriched["src_country"].to_pylist() == [None, "US", None, "US"]
    assert enriched["dst_country"].to_pylist() == ["US", "IE", None, None]
    assert enriched.schema == flows.schema
    only_asn = Enricher(asn=asn)(flows)
    assert only_asn["dst_country"].null_count == 4 and only_asn["dst_as"].null_count == 2


def test_an_address_is_looked_up_once(make_flows, tmp_path, monkeypatch):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}})
    enricher = Enricher(asn=asn)
    asked = []
    lookup = enricher._lookups[0][1]
    look_up = lookup._look_up
    monkeypatch.setattr(lookup, "_look_up", lambda address: asked.append(address) or look_up(address))
    flows = make_flows([0, 1], src_ip=["8.8.8.8", "8.8.8.8"], dst_ip=["8.8.8.8", "9.9.9.9"])
    for _ in range(3):
        enricher(flows)
    assert len(asked) == 2
    monkeypatch.setattr("flowlore.flows.enrich.CACHED_ADDRESSES", 1)
    assert enricher(flows)["dst_as"].to_pylist() == [15169, None]
    enricher.close()


def test_ipv4_databases_know_nothing_of_ipv6(make_flows, tmp_path):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}}, ip_version=4)
    flows = make_flows([0], src_ip=["8.8.8.8"], dst_ip=["2a00:1450::1"])
    enriched = Enricher(asn=asn)(flows)
    assert (enriched["src_as"].to_pylist(), enriched["dst_as"].to_pylist()) == ([15169], [None])


def test_flows_without_addresses_pass(make_flows, tmp_path):
    asn = write_mmdb(tmp_path / "asn.mmdb", {"8.8.8.0/24": {"autonomous_system_number": 15169}})
    bare = Flows(make_flows([0])).select(["start", "dst_port"]).to_arrow().to_batches()[0]
    assert Enricher(asn=asn)(bare) == bare
    assert Enricher(asn=asn)(make_flows([])).num_rows == 0


@pytest.mark.parametrize(
    ("content", "message"), [(b"not a database", "is not an MMDB file"), (None, "there is no file")]
)
def test_what_is_no_database_says_so(tmp_path, content, message):
    path = tmp_path / "geo.mmdb"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=rf"{message}[\s\S]*--geo"):
        Enricher(geo=path)


def test_what_is_no_database_is_said_once(tmp_path):
    (tmp_path / "x.mmdb").write_bytes(b"not a database")
    with pytest.raises(InputError) as raised:
        Enricher(asn=tmp_path / "x.mmdb")
    assert raised.value.problem.endswith("is not an MMDB file")
