import pyarrow as pa
import pytest

from flowlore.errors import InputError, QueryError
from flowlore.flows.filter import RowFilter
from flowlore.flows.query import END, addresses_in_prefixes, query
from flowlore.flows.table import Flows


@pytest.fixture
def flows(make_flows):
    return Flows(
        make_flows(
            [0, 1, 3600, 7200],
            src_ip=["10.0.0.1", "10.200.0.1", "2001:db8::1", None],
            dst_port=[443, 53, 443, 22],
            bytes_fwd=[2**63, 2**63, 1, 1],
        )
    )


def test_addresses_and_ids_are_text(flows):
    answer = query("select src_ip, flow_id from flows where dst_ip = '192.0.2.1' order by src_port", flows)
    assert answer.to_pylist()[0] == {"src_ip": "10.0.0.1", "flow_id": "0" * 32}
    assert answer["src_ip"].to_pylist()[2:] == ["2001:db8::1", None]


def test_star_keeps_every_column_in_its_order(flows):
    answer = query("select * from flows", flows)
    assert answer.column_names == flows.column_names
    assert answer["start"].cast(pa.int64()).to_pylist() == flows["start"].cast(pa.int64()).to_pylist()


def test_prefixes(flows):
    def sources(prefix):
        answer = query(f"select src_ip from flows where in_prefix(src_ip, '{prefix}') order by src_port", flows)
        return answer["src_ip"].to_pylist()

    assert sources("10.0.0.0/8") == ["10.0.0.1", "10.200.0.1"]
    assert sources("10.200.0.0/16") == ["10.200.0.1"]
    assert sources("2001:db8::/32") == ["2001:db8::1"]
    assert sources("::/0") == ["10.0.0.1", "10.200.0.1", "2001:db8::1"]
    with pytest.raises(QueryError, match=r"`10\.0/8` is not an IPv4 or IPv6 prefix"):
        sources("10.0/8")


def test_prefix_and_address_may_both_be_columns():
    addresses = pa.array(["10.0.0.1", "10.0.0.1", None, "x", "10.0.0.1"])
    prefixes = pa.array(["10.0.0.0/24", "11.0.0.0/8", "10.0.0.0/8", "10.0.0.0/8", None])
    assert addresses_in_prefixes(addresses, prefixes).to_pylist() == [True, False, None, None, None]


def test_sums_are_plain_integers_where_they_fit(flows):
    answer = query("select sum(packets_fwd) as packets, sum(bytes_fwd) as bytes from flows", flows)
    assert answer.schema.field("packets").type == pa.int64()
    assert pa.types.is_decimal(answer.schema.field("bytes").type)
    assert int(answer["bytes"][0].as_py()) == 2**64 + 2


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select byts_fwd from flows", r'column "byts_fwd" not found[\s\S]*did you mean `bytes_fwd`'),
        ("select * from flow", r"the flows are in the view `flows`"),
        ("select 1 +", r"syntax error"),
        ("selec 1", r"syntax error[\s\S]*    selec 1\n    \^"),
        ("", r"only one statement"),
        ("select 1; select 2", r"only one statement"),
        ("create table t as select 1", r"only one statement that reads"),
        ("copy flows to '/tmp/never.csv'", r"only one statement that reads"),
        ("attach ':memory:' as other", r"only one statement that reads"),
        ("install httpfs", r"only one statement that reads"),
        ("set threads = 1", r"only one statement that reads"),
        ("select * from read_csv('/etc/passwd')", r"disabled by configuration[\s\S]*nothing but the view"),
        ("select * from '/etc/passwd'", r"sees nothing but|view `flows`"),
        ("select * from read_text('/etc/passwd')", r"disabled by configuration"),
        ("select * from glob('/etc/*')", r"disabled by configuration"),
        ("select cast('a' as integer)", r"could not convert"),
    ],
)
def test_what_is_not_a_reading_query_says_why(flows, sql, message):
    with pytest.raises(QueryError, match=message):
        query(sql, flows)


def test_python_names_are_out_of_sight(flows):
    secret = pa.table({"a": [1]})
    with pytest.raises(QueryError, match="secret"):
        query("select * from secret", flows)
    assert secret.num_rows == 1


def test_with_and_explain_are_reading(flows):
    assert query("with few as (select * from flows limit 2) select count(*) as n from few", flows)["n"].to_pylist() == [
        2
    ]
    assert query("explain select 1", flows).num_rows > 0


def test_filter_keeps_order_and_counts(flows, make_flows):
    batch = flows.to_arrow().to_batches()[0]
    with RowFilter("dst_port = 443 or src_ip is null", batch.schema) as keep:
        assert keep(batch)["src_port"].to_pylist() == [40_000, 40_002, 40_003]
        assert keep(batch.slice(1, 1)).num_rows == 0
        assert keep.filtered == 2
        assert [kept.num_rows for kept in keep.over([batch, batch.slice(1, 1), batch.slice(0, 0)])] == [3]
        assert set(keep.columns) == {"dst_port", "src_ip"}
        assert keep(batch).schema == batch.schema


def test_filter_of_many_rows_keeps_their_order(make_flows):
    rows = 50_000
    batch = make_flows([0.0] * rows, src_port=[row % 65_536 for row in range(rows)], src_ip=["10.0.0.1"] * rows)
    with RowFilter("src_port % 3 = 0 and in_prefix(src_ip, '10.0.0.0/30')", batch.schema) as keep:
        assert keep(batch)["src_port"].to_pylist() == list(range(0, rows, 3))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("dst_prt = 443", r"where: [\s\S]*did you mean `dst_port`"),
        ("count(*) > 3", "is not a condition on one row"),
        ("dst_port = 443) from flows; select (1", "syntax error|only one statement"),
        ("1=1) as keep from flows union all select (false", "not a condition on one row|syntax error"),
        ("src_ip", "`src_ip` is no condition"),
        (" ", "the expression is empty"),
    ],
)
def test_what_is_no_condition_says_why(flows, expression, message):
    batch = flows.to_arrow().to_batches()[0]
    with pytest.raises(QueryError, match=message), RowFilter(expression, batch.schema) as keep:
        keep(batch)


def test_conditions_without_columns_and_with_comments(flows):
    batch = flows.to_arrow().to_batches()[0]
    for expression, rows in (("true", 4), ("null", 0), ("dst_port = 22 -- ssh", 1)):
        with RowFilter(expression, batch.schema) as keep:
            assert keep(batch).num_rows == rows


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "select port from flows",
            r"    select port from flows\n           \^\^\^\^\n\nhint: columns like it: src_port, dst_port",
        ),
        ("select zzz from flows", r"hint: `flowlore columns`"),
        ('select "end" from flows', r"hint: when a flow ends is not a column: write `start::timestamptz \+"),
        ("select end from flows", r"hint: when a flow ends"),
        ("selec 1", r"hint: begin with `select"),
        ("select in_prefix(src_ip, '10/33') from flows", r"hint: write it as `10.0.0.0/8`"),
    ],
)
def test_a_wrong_query_is_helped(flows, sql, message):
    with pytest.raises(QueryError, match=message):
        query(sql, flows)


def test_the_end_of_a_flow_is_as_the_hint_says(flows):
    assert query(f"select count({END}) as n from flows", flows)["n"].to_pylist()[0] > 0


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("dst_port =", r"^where: the condition ends too early\n\n    dst_port =\n              \^\n"),
        ("(dst_port = 1", r"^where: the condition ends too early\n\n    \(dst_port = 1\n"),
        ("dst_port = 1 and\nbar = 2", r"    bar = 2\n    \^\^\^"),
        ("dst_port", r"`dst_port` is no condition"),
        ("count(*)", r"`count\(\*\)` is no condition"),
    ],
)
def test_a_wrong_condition_shows_what_the_user_wrote(flows, expression, message):
    with pytest.raises(QueryError, match=message) as raised:
        RowFilter(expression, flows.to_arrow().schema)
    assert "coalesce" not in str(raised.value) and "keep" not in str(raised.value)


def test_a_file_of_another_form_is_told_how_to_become_one(tmp_path):
    (tmp_path / "x.csv").write_text("start,src_ip\n")
    with pytest.raises(InputError, match=r"is not a Parquet file[\s\S]*flowlore flows .*x.csv -o"):
        query("select 1 from flows", tmp_path / "x.csv")
