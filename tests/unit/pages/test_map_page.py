"""The page of a map: whole by itself, safe from names written by strangers, a picture without script, alive with it."""

import base64
import json
import re
import shutil
import struct
import subprocess
import zlib
from html import unescape
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from flowlore.flows.schema import flow_batch
from flowlore.pages.map_page import map_page
from flowlore.pages.scatter import NONE, OTHERS, PALETTE, scatter_png, shown_codes
from flowlore.tasks.flow_map import Colouring, FlowMap
from flowlore.tasks.projection import Faith

HOSTILE = '</script><img src=x onerror="alert(1)">'
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def made_up(rows: int = 60) -> FlowMap:
    rng = np.random.default_rng(0)
    names = ["www.news.example", HOSTILE, None]
    flows = pa.Table.from_batches(
        [
            flow_batch(
                {
                    "flow_id": [bytes([row] * 16) for row in range(rows)],
                    "start": [1_700_000_000_000_000_000 + row for row in range(rows)],
                    "duration_ns": [1_500_000_000] * rows,
                    "src_ip": [bytes(10) + b"\xff\xff" + bytes([10, 0, 0, row]) for row in range(rows)],
                    "dst_port": [443] * rows,
                    "protocol": [6] * rows,
                    "packets_fwd": [3] * rows,
                    "server_name": [names[row % 3] for row in range(rows)],
                    "label": [f"class {row % 2}" for row in range(rows)],
                },
                rows,
            )
        ]
    )
    faith = Faith(trustworthiness=0.91234, continuity=0.95, neighbours=15, rows=rows)
    return FlowMap(
        flows=flows,
        vectors=np.zeros((rows, 4), np.float32),
        places=rng.normal(size=(rows, 2)).astype(np.float32),
        colourings=(
            Colouring(name="label", names=("class 0", "class 1"), codes=np.arange(rows, dtype=np.int32) % 2),
            Colouring(
                name="server name",
                names=("www.news.example", HOSTILE),
                codes=np.array([0, 1, -1], np.int32)[np.arange(rows) % 3],
            ),
        ),
        clusters=(),
        confidence=None,
        seen=rows + 2,
        blank=2,
        rule=f"all {rows} flows",
        masked=("payload",),
        faith=faith,
        faith_of_components=faith,
        seed=1,
        bundle="office",
        shortcuts="addresses off",
    )


def data_of(page: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="map-data">(.*?)</script>', page, re.S)[1])


def test_it_is_whole_by_itself() -> None:
    page = map_page(made_up(), "Map")
    outside = re.findall(r'(?:src|href|action)\s*=\s*"?([^"\s>]+)', page.partition('id="map-data"')[0])
    assert all(one.startswith("data:") for one in outside)
    assert not re.search(r"\b(fetch|XMLHttpRequest|import)\s*\(", page)
    assert "http://" not in page.replace("http://www.w3.org", "") and "https://" not in page
    assert "0.912" in page and "payload" in page


def test_names_of_strangers_are_only_text() -> None:
    page = map_page(made_up(), f"Map of {HOSTILE}")
    assert "<img src=x" not in page
    assert page.count("</script>") == 3
    assert HOSTILE in data_of(page)["texts"]["server"]


def test_the_data_says_what_the_flows_say() -> None:
    drawn = made_up()
    data = data_of(map_page(drawn, "Map"))
    places = np.frombuffer(base64.b64decode(data["columns"]["x"]["data"]), "<f4")
    np.testing.assert_array_equal(places, drawn.places[:, 0])
    start = np.frombuffer(base64.b64decode(data["columns"]["start_ms"]["data"]), "<f8")
    assert start[0] == 1_700_000_000_000.0
    codes = np.frombuffer(base64.b64decode(data["columns"]["src"]["data"]), "<u2")
    assert data["texts"]["src"][codes[7]] == "10.0.0.7"
    shown = np.frombuffer(base64.b64decode(data["colourings"][1]["codes"]["data"]), np.uint8)
    assert shown[:3].tolist() == [0, 1, NONE]


def test_the_picture_without_script() -> None:
    page = map_page(made_up(), "Map")
    png = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page)[1])
    pixels = decoded(png)
    assert set(np.unique(pixels)) == {0, 1, 2}  # ground and both classes
    assert unescape(re.search(r'<img [^>]*alt="([^"]+)"', page)[1]) == "60 flows as points, coloured by label"


def test_rare_colours_lie_over_frequent_ones() -> None:
    places = np.array([[0.0, 0.0]] * 50 + [[0.0, 0.0], [5.0, 5.0]])
    codes = np.array([0] * 50 + [1, 0], np.uint8)
    pixels = decoded(scatter_png(places, codes, width=200, height=200))
    assert (pixels == 2).sum() > 0


def test_more_names_than_colours_share_one() -> None:
    codes = np.array([0, len(PALETTE) - 1, len(PALETTE), 400, -1])
    assert shown_codes(codes).tolist() == [0, len(PALETTE) - 1, OTHERS, OTHERS, NONE]


def test_a_picture_of_nothing() -> None:
    assert not decoded(scatter_png(np.zeros((0, 2)), np.zeros(0, np.uint8))).any()


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed, which would run the page's script")
def test_the_script_runs_and_finds(tmp_path: Path) -> None:
    file = tmp_path / "map.html"
    file.write_text(map_page(made_up(), "Map"), encoding="utf-8")
    document = opened(file, "colour=server%20name&search=news")
    assert 'class="scripted"' in document
    assert "20 flows with “news”" in document
    assert document.count("<tr>") >= 21
    legend = re.search(r'id="map-legend">(.*?)</ul>', document, re.S)[1]
    assert legend.count("<li") == 3 and "no value" in legend
    assert "onerror=&quot;" in legend or 'onerror="alert(1)"' in unescape(legend)
    assert "<img src=x" not in document


def opened(file: Path, fragment: str) -> str:
    """The document as it is after its script ran."""
    command = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    profile = f"--user-data-dir={file.parent / 'profile'}"
    done = subprocess.run(
        [*command, profile, f"{file.as_uri()}#{fragment}"], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout


def decoded(png: bytes) -> np.ndarray:
    """Palette places of a PNG without filters."""
    assert png.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", png[16:24])
    place, data = 8, b""
    while place < len(png):
        size, kind = struct.unpack_from(">I4s", png, place)
        body = png[place + 8 : place + 8 + size]
        assert struct.unpack_from(">I", png, place + 8 + size)[0] == zlib.crc32(kind + body)
        data += body if kind == b"IDAT" else b""
        place += 12 + size
    return np.frombuffer(zlib.decompress(data), np.uint8).reshape(height, width + 1)[:, 1:]
