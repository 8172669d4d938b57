import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flowlore.errors import InputError, TaskError
from flowlore.flows.annotate import Annotator, annotate
from flowlore.flows.table import Flows, concat


@pytest.fixture
def write(tmp_path):
    def write(text, name="labels.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


@pytest.fixture
def flows(make_flows):
    """Six flows between noon and 12:05: two hosts, two directions, one of ICMP."""
    return Flows(
        make_flows(
            [0, 60, 120, 180, 240, 300],
            src_ip=["10.0.0.1", "192.0.2.1", "10.0.0.1", "10.0.0.2", "10.0.0.3", "2001:db8::1"],
            dst_ip=["192.0.2.1", "10.0.0.1", "192.0.2.1", "192.0.2.1", "192.0.2.9", "2001:db8::2"],
            src_port=[1000, 443, 1000, 1000, 8, 1000],
            dst_port=[443, 1000, 443, 443, 0, 443],
            protocol=[6, 6, 17, 6, 1, 6],
            src_mac=[b"\0\0\0\0\0\1", b"\0\0\0\0\0\2", None, None, None, None],
            dst_mac=[b"\0\0\0\0\0\2", b"\0\0\0\0\0\1", b"\0\0\0\0\0\1", None, None, None],
            capture=["a/x.pcap", "b/x.pcap", "c/d/y.pcap", "eth0", None, "x.pcap"],
            label=[None, None, None, "old", None, None],
        )
    )


def labels_of(flows):
    return flows["label"].to_pylist()


def test_by_flow_id(flows, write):
    path = write(f"flow_id,label\n{'0' * 32},web\n{'0' * 31}5,mail\n{'f' * 32},never\nxyz,bad\n{'0' * 31}1,\n")
    labelled, report = annotate(flows, path)
    assert labels_of(labelled) == ["web", None, None, "old", None, "mail"]
    assert labelled["label_source"].to_pylist() == ["labels.csv", None, None, None, None, "labels.csv"]
    assert (report.how, report.flows, report.labels, report.labelled, report.unlabelled) == ("flow-id", 6, 5, 2, 3)
    assert (report.unmatched_labels, report.unmatched_examples) == (1, [3])
    assert report.skipped == {"no-label": 1, "bad-flow-id": 1}
    assert report.by_label == {"mail": 1, "web": 1}


def test_by_five_tuple_in_either_direction(flows, write):
    path = write("src_ip,dst_ip,src_port,dst_port,protocol,label\n10.0.0.1,192.0.2.1,1000,443,TCP,web\n")
    labelled, report = annotate(flows, path)
    assert labels_of(labelled) == ["web", "web", None, "old", None, None]
    assert report.how == "five-tuple" and report.labelled == 2 and report.unmatched_labels == 0


def test_an_empty_key_stands_for_any_value(flows, write):
    path = write(
        "Source IP,Destination IP,Destination Port,Label\n10.0.0.1,192.0.2.1,,any\n192.0.2.1,10.0.0.2,1000,back\n"
    )
    labelled, report = annotate(flows, path, overwrite=True)
    assert labels_of(labelled) == ["any", "any", "any", "back", None, None]
    assert report.kept == 0


def test_ports_of_icmp_are_not_compared(flows, write):
    path = write("src_ip,dst_ip,src_port,dst_port,proto,label\n192.0.2.9,10.0.0.3,0,0,icmp,ping\n")
    assert labels_of(annotate(flows, path)[0])[4] == "ping"


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ("2020-06-20T12:01:00Z", "2020-06-20 12:02:00", [None, "x", "x"]),
        ("2020-06-20T14:01:00+02:00", "2020-06-20T12:01:59.999999", [None, "x", None]),
        ("2020-06-20 12:01", "", [None, "x", "x"]),
        ("", "2020-06-20 12:00", ["x", None, None]),
        ("2020-06-21", "", [None, None, None]),
        ("1592654460", "1592654520.5", [None, "x", "x"]),
        ("1592654400000", "1592654459999", ["x", None, None]),
        ("1592654400000000000", "1592654400000000000", ["x", None, None]),
    ],
)
def test_by_host_and_time(flows, write, first, last, expected):
    path = write(f"host,from,to,label\n10.0.0.1,{first},{last},x\n")
    labelled, _ = annotate(flows, path, allow_no_match=True)
    assert labels_of(labelled)[:3] == expected


def test_times_that_cannot_be_are_counted(flows, write):
    rows = ["10.0.0.1,soon,,a", "10.0.0.1,2020-06-21,2020-06-20,b", "10.0.0.1.7,,,c", ",,,d", "10.0.0.2,2020-06-20,,e"]
    _, report = annotate(flows, write("host,from,to,label\n" + "\n".join(rows)))
    assert report.skipped == {"bad-time": 1, "ends-before-it-begins": 1, "bad-host": 1, "no-key": 1}
    assert report.labels == 5


def test_by_mac(flows, write):
    labelled, report = annotate(flows, write("mac,label\n00:00:00:00:00:01,camera\n"))
    assert labels_of(labelled) == ["camera", "camera", "camera", "old", None, None]
    assert report.how == "mac"


def test_by_capture_the_longest_path_wins(flows, write):
    labelled, report = annotate(
        flows, write("capture,label\nx.pcap,plain\na/x.pcap,with folder\nd/y.pcap,y\npcap,never\n")
    )
    assert labels_of(labelled) == ["with folder", "plain", "y", "old", None, "plain"]
    assert report.conflicts == 0 and report.unmatched_labels == 1


def test_conflicts_are_counted_and_the_row_that_says_most_wins(flows, write):
    path = write(
        "host,from,to,label\n"
        "10.0.0.1,,,day\n"
        "10.0.0.1,2020-06-20 12:01,2020-06-20 12:01:30,attack\n"
        "10.0.0.1,2020-06-20 12:00:50,2020-06-20 12:01:20,probe\n"
    )
    labelled, report = annotate(flows, path)
    assert labels_of(labelled)[:3] == ["day", "attack", "day"]
    assert report.conflicts == 1
    assert report.conflict_examples == [("0" * 31 + "1", ["day", "attack", "probe"])]
    assert "several labels" in str(report)


def test_the_same_label_twice_is_no_conflict(flows, write):
    _, report = annotate(flows, write("host,label\n10.0.0.1,x\n192.0.2.1,x\n"))
    assert report.conflicts == 0 and report.labelled == 3


def test_a_label_stays_unless_overwritten(flows, write):
    path = write("host,label,label_source\n10.0.0.2,new,expert\n")
    labelled, report = annotate(flows, path)
    assert labels_of(labelled)[3] == "old" and (report.kept, report.disagreeing, report.labelled) == (1, 1, 0)
    labelled, report = annotate(flows, path, overwrite=True)
    assert labels_of(labelled)[3] == "new" and (report.kept, report.labelled) == (0, 1)
    assert labelled["label_source"].to_pylist()[3] == "expert"
    labelled, _ = annotate(flows, write("host,label\n10.0.0.2,new\n"), overwrite=True, source="me")
    assert labelled["label_source"].to_pylist()[3] == "me"


def test_batches_give_what_the_whole_gives(flows, write):
    path = write("host,from,to,label\n10.0.0.1,,2020-06-20 12:01,x\n10.0.0.1,,,y\n10.9.9.9,,,z\n")
    whole, about_whole = annotate(flows, path)
    cut, about_cut = annotate(concat([flows[row : row + 1] for row in range(6)]), path)
    assert cut.equals(whole)
    assert about_cut == about_whole
    with Annotator(path) as annotator:
        annotator(flows.to_arrow().to_batches()[0])
        assert annotator.report() == about_whole


def test_every_form_of_file_is_read(flows, tmp_path, write):
    expected, _ = annotate(flows, write("src_ip,dst_ip,dst_port,label\n10.0.0.1,192.0.2.1,443,web\n"), source="s")
    rows = {"src_ip": ["10.0.0.1"], "dst_ip": ["192.0.2.1"], "dst_port": [443], "label": ["web"]}
    (tmp_path / "labels.jsonl").write_text(json.dumps({name: value[0] for name, value in rows.items()}) + "\n")
    pq.write_table(pa.table(rows), tmp_path / "labels.parquet")
    (tmp_path / "labels.tsv").write_text("src_ip\tdst_ip\tdst_port\tlabel\n10.0.0.1\t192.0.2.1\t443\tweb\n")
    for labels in (*(tmp_path / f"labels.{form}" for form in ("jsonl", "parquet", "tsv")), pa.table(rows)):
        assert annotate(flows, labels, source="s")[0].equals(expected)


def test_labelled_flows_are_labels_themselves(flows, write, tmp_path):
    labelled, _ = annotate(flows, write("host,label\n10.0.0.1,x\n"))
    labelled.write(tmp_path / "labelled.parquet")
    again, report = annotate(flows, tmp_path / "labelled.parquet")
    assert labels_of(again) == labels_of(labelled) and report.how == "flow-id"


def test_how_may_be_given(flows, write):
    path = write(f"flow_id,host,label\n{'f' * 32},10.0.0.1,x\n")
    assert annotate(flows, path, allow_no_match=True)[1].labelled == 0
    assert annotate(flows, path, how="host")[1].labelled == 3


@pytest.mark.parametrize(
    ("text", "how", "message"),
    [
        ("host,lable\n10.0.0.1,x\n", None, r"has no column `label` \(it has: host, lable\)"),
        ("name,label\nx,y\n", None, r"nothing in .* says which flows[\s\S]*`flow_id`"),
        ("host,label\n10.0.0.1,x\n", "mac", r"cannot be joined by mac: it has no column `mac`"),
        ("host,label\n10.0.0.1,x\n", "name", r"cannot be joined by `name` \(known: flow-id"),
        ("", None, r"is empty\n\nhint: a header"),
        ("mac,label\n,x\n", "mac", r"every row is empty in `mac`"),
        ("host,label\n10.0.0.1,x\n", "five-tuple", r"has none of the columns `src_ip`, `dst_ip`"),
    ],
)
def test_labels_that_cannot_be_joined_say_why(flows, write, text, how, message):
    with pytest.raises(InputError, match=message):
        annotate(flows, write(text), how=how)


def test_files_that_are_not_there_or_of_no_known_form_say_so(flows, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        annotate(flows, tmp_path / "labels.csv")
    (tmp_path / "labels.xlsx").write_text("x")
    with pytest.raises(InputError, match=r"not known from its name[\s\S]*\.jsonl"):
        annotate(flows, tmp_path / "labels.xlsx")


def test_no_flows_and_few_columns(flows, write):
    path = write("host,label\n10.0.0.1,x\n")
    assert annotate(flows[:0], path, allow_no_match=True)[1].unmatched_labels == 1
    few, report = annotate(flows.select(["src_ip"]), path)
    assert labels_of(few) == ["x", None, "x", None, None, None]
    assert few.column_names == ["src_ip", "label", "label_source"] and report.unlabelled == 4
    assert json.loads(json.dumps(report.as_dict()))["labelled"] == 2


def test_flows_without_time_match_only_labels_without_time(make_flows, write):
    flows = Flows(make_flows([None]))
    assert annotate(flows, write("host,from,label\n10.0.0.1,2020-01-01,x\n"), allow_no_match=True)[1].labelled == 0
    assert annotate(flows, write("host,from,label\n10.0.0.1,,x\n"))[1].labelled == 1


def test_any_part_of_a_five_tuple_is_a_key(flows, write):
    labelled, report = annotate(flows, write("src_ip,dst_port,label\n10.0.0.1,443,web\n"))
    assert report.how == "five-tuple" and labels_of(labelled) == ["web", "web", "web", "old", None, None]
    labelled, _ = annotate(flows, write("src_ip,dst_ip,dst_port,label\n10.0.0.1,,443,web\n"))
    assert labels_of(labelled) == ["web", "web", "web", "old", None, None]
    labelled, _ = annotate(flows, write("protocol,label\nudp,u\n"), how="five-tuple")
    assert labels_of(labelled) == [None, None, "u", "old", None, None]


def test_labels_of_which_none_fits_are_an_error_that_says_what_was_compared(flows, write):
    path = write("src_ip,dst_ip,from,to,label\n10.9.9.9,192.0.2.1,2001-01-01,2001-01-02,x\n,,,,y\n")
    with pytest.raises(TaskError) as raised:
        annotate(flows, path)
    text = str(raised.value)
    assert "none of 2 labels" in text and "any of 6 flows" in text and "1 labels cannot be used: no-key" in text
    assert "row 1: src_ip 10.9.9.9, dst_ip 192.0.2.1" in text
    assert "labels: 2001-01-01T00:00:00Z to 2001-01-02T00:00:00Z" in text and "flows:  2" in text
    assert "--allow-no-match" in text
    assert annotate(flows, path, allow_no_match=True)[1].labelled == 0
    kept = annotate(flows, write("host,label\n10.0.0.2,new\n"))[1]  # it fits a flow whose label stays
    assert kept.labelled == 0 and kept.kept == 1


def test_label_files_that_cannot_be_read_say_where(flows, write, tmp_path):
    with pytest.raises(InputError, match=r"line 2 is not a JSON object: `nonsense`"):
        annotate(flows, write('{"host": "10.0.0.1", "label": "x"}\nnonsense\n', "labels.jsonl"))
    write("host,label\n", "labels.csv")
    with pytest.raises(InputError, match=r"there is no file[\s\S]*did you mean `labels.csv`"):
        annotate(flows, tmp_path / "lables.csv")
    with pytest.raises(InputError, match=r"there is no file[\s\S]*hint"):
        annotate(flows, tmp_path / "nowhere" / "labels.parquet")


def test_labels_that_are_no_text_or_none_at_all(flows, write, tmp_path):
    (tmp_path / "utf16.csv").write_bytes("host,label\n10.0.0.1,x\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"utf16\.csv` cannot be read: they are UTF-16 text[\s\S]*iconv"):
        annotate(flows, tmp_path / "utf16.csv")
    (tmp_path / "empty").mkdir()
    for nothing in (write("host,label\n"), tmp_path / "empty"):
        with pytest.raises(TaskError, match="no label is in"):
            annotate(flows, nothing)
        assert annotate(flows, nothing, allow_no_match=True)[1].labels == 0


def test_what_of_the_labels_is_lost(flows, write):
    assert annotate(flows, write("host,label\n10.0.0.1,a\n"))[1].losses() == []
    lost = annotate(flows, write("host,label\n10.0.0.1,a\n10.0.0.1,b\n192.0.2.77,c\n10.0.0.2,new\n10.0.0.1,-\n"))[
        1
    ].losses()
    assert [one for one in lost if one.startswith("1 of 5 rows fit no flow")], lost
    assert [one for one in lost if "no-label 1" in one] and [one for one in lost if "several labels" in one]
    assert [one for one in lost if one.startswith("1 flows keep another label")]


def test_a_report_shows_rows_and_conflicts_in_short(flows, write):
    _, report = annotate(flows, write("host,label\n10.0.0.1,a\n10.0.0.1,b\n192.0.2.77,c\n"))
    text = str(report)
    assert "1 fit no flow (row 3)" in text or "fit no flow (rows" in text
    assert max(map(len, text.splitlines())) < 80
