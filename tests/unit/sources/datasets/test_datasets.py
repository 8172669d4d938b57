"""Public data sets by name."""

import hashlib
from pathlib import Path

import pytest

from flowlore.cli.demo import DEMO_CAPTURE
from flowlore.errors import InputError, UnknownName
from flowlore.sources.datasets.catalogue import KINDS, Dataset, DatasetFile, catalogue, dataset
from flowlore.sources.datasets.loading import LoadedDataset, is_present, load_dataset
from flowlore.sources.datasets.settings import DatasetSettings
from flowlore.sources.records.columnmaps import shipped_maps

ROWS = {
    "cic-ids2017": 30_390,
    "exposed-hosts": 19_094,
    "fgnet": 150_897,
    "heralding": 49_212,
    "iot-23": 28_180,
    "luflow": 370_177,
    "nf-botiot-v2": 195_668,
    "unsw-nb15": 9_938,
    "video-sessions": 1_562,
}


def heralding(folder: Path) -> Path:
    """A stand-in for one data set's file, with other content."""
    path = folder / "honeypot" / "heralding.parquet"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other content")
    return path


@pytest.mark.parametrize("name", catalogue())
def test_every_entry_says_what_must_be_said(name: str) -> None:
    entry = dataset(name)
    assert entry.kind in KINDS
    assert entry.weights in ("ship", "study")
    assert entry.page.startswith("https://")
    assert entry.title and entry.what and entry.licence and entry.citation and entry.files
    assert entry.map in ("", *shipped_maps())
    assert (entry.source == "tables") == bool(entry.map)
    for file in entry.files:
        assert not Path(file.path).is_absolute()
        assert file.sha256 is None or not file.is_pattern


def test_an_unknown_name() -> None:
    with pytest.raises(UnknownName, match="did you mean `luflow`"):
        dataset("luflo")


def test_an_absent_data_set_says_where_to_put_it(tmp_path: Path) -> None:
    assert not is_present("heralding", tmp_path)
    with pytest.raises(InputError) as caught:
        load_dataset("heralding", tmp_path)
    assert str(tmp_path / "honeypot" / "heralding.parquet") in caught.value.problem
    assert "https://github.com/UQO-Biolab/ml_ids" in (caught.value.hint or "")
    assert "FLOWLORE_DATA" in (caught.value.hint or "")


def test_the_folder_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWLORE_DATA", str(tmp_path))
    path = heralding(tmp_path)
    assert is_present("heralding")
    assert load_dataset("heralding", settings=DatasetSettings(verify=False)).paths == (path,)


def test_a_file_directly_in_the_folder_is_found(tmp_path: Path) -> None:
    path = heralding(tmp_path)
    found = load_dataset("heralding", path.parent, DatasetSettings(verify=False))
    assert found.paths == (path,)


def test_another_checksum_is_an_error(tmp_path: Path) -> None:
    heralding(tmp_path)
    with pytest.raises(InputError, match="is not the file of the catalogue"):
        load_dataset("heralding", tmp_path)


def test_a_mirror_gives_what_is_not_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = heralding(tmp_path / "mirror")
    sha256 = hashlib.sha256(original.read_bytes()).hexdigest()
    entry = dataset("heralding")
    file = DatasetFile(path=entry.files[0].path, sha256=sha256)
    known = {field: getattr(entry, field) for field in Dataset.__slots__}
    stand_in = Dataset(**{**known, "files": (file,)})
    monkeypatch.setattr("flowlore.sources.datasets.loading.dataset", lambda name: stand_in)
    monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path / "cache"))
    settings = DatasetSettings(mirror=(tmp_path / "mirror").as_uri())
    found = load_dataset("heralding", tmp_path / "nothing", settings)
    assert found.paths == (tmp_path / "cache" / "datasets" / "honeypot" / "heralding.parquet",)
    assert not list(found.paths[0].parent.glob("*.part"))
    with pytest.raises(InputError, match="cannot be fetched"):
        monkeypatch.setenv("FLOWLORE_CACHE_DIR", str(tmp_path / "second"))
        load_dataset("heralding", tmp_path / "nothing", DatasetSettings(mirror=(tmp_path / "absent").as_uri()))


def test_a_data_set_of_captures_is_opened_without_settings() -> None:
    source = LoadedDataset(dataset("ndpi"), (DEMO_CAPTURE,)).open()
    assert sum(batch.num_rows for batch in source.batches()) == source.account.flows > 0


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ROWS)
def test_data_sets_of_flows_become_flow_tables(shared_data: Path, name: str) -> None:
    source = load_dataset(name, shared_data).open()
    rows = sum(batch.num_rows for batch in source.batches())
    assert rows == source.account.flows == ROWS[name]
    assert source.account.records == source.account.records_in_flows + source.account.skipped.total()


@pytest.mark.shared_data
def test_what_is_here_is_what_the_catalogue_says(shared_data: Path) -> None:
    here = {name for name in catalogue() if is_present(name, shared_data)}
    assert {name for name, entry in catalogue().items() if entry.has_flows and name in here} == {
        *ROWS, "cic-ddos2019", "iot-sentinel", "malicious-captures", "ndpi", "same-capture", "stopddos",
    }  # fmt: skip
    for name in here:
        assert load_dataset(name, shared_data).paths


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["abilene", "germany50", "esnet-2018", "hosts-2006", "isp-hourly-2005", "nab"])
def test_what_holds_no_flows_says_what_it_holds(shared_data: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"holds (rates|matrices), not flows"):
        load_dataset(name, shared_data).open()
