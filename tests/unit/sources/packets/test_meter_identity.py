"""A keyed `flow_id`: the same flows, other ids, and clear words where the secret cannot be had."""

from pathlib import Path

import pytest

import flowlore
from flowlore.errors import SettingError
from flowlore.settings import read_settings

DEMO = Path(flowlore.__file__).parent / "data" / "demo" / "office.pcapng"


def ids(key_file: str = "") -> list[bytes]:
    overrides = [f'meter.flow_id_key_file="{key_file}"'] if key_file else []
    settings = read_settings(flowlore.PipelineConfig, None, overrides)
    return flowlore.read(DEMO, settings=settings).to_arrow()["flow_id"].to_pylist()


def test_a_secret_changes_every_id_and_nothing_else(tmp_path: Path) -> None:
    secret, other = tmp_path / "secret", tmp_path / "other"
    secret.write_text("a long text\n")
    other.write_text("another text")
    plain, keyed = ids(), ids(str(secret))
    assert len(plain) == len(keyed) == len(set(keyed))
    assert not set(plain) & set(keyed) and not set(keyed) & set(ids(str(other)))
    assert keyed == ids(str(secret))


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="cannot be read"):
        ids(str(tmp_path / "nowhere"))
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingError, match="is empty"):
        ids(str(tmp_path / "empty"))
