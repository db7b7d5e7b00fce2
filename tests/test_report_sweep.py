import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from implicore.errors import BadInput
from implicore.synth.report.sweep import read_results, sweep_page, title_of

SIDES, FORMATS = (4, 8, 16), ("w8a8", "w8a12")
FAILED, OUTSIDE = (8, 16, "w8a12"), (16, 16, "w8a12")


def point(rows, columns, formats):
    """A row of results; the metrics are made up, but no two are alike."""
    number = rows * columns * (1 if formats == "w8a8" else 1.37)
    blocks = {
        "array": {"area_um2": 9000 * number, "power_mw": 0.8 * number},
        "memory weights": {"area_um2": 400_000.0, "power_mw": 10.0},
    }
    area, power = (sum(block[name] for block in blocks.values()) for name in blocks["array"])
    failed = (rows, columns, formats) == FAILED
    return {
        "point": f"{rows:02}{columns:02}{formats}",
        "rows": rows,
        "columns": columns,
        "formats": formats,
        "gate_zeros": False,
        "network": "demo",
        "source": "failed" if failed else "synthesized" if rows == columns else "predicted",
        "error": "abc failed (1): </script><b>out of memory</b>" if failed else None,
        "psnr_db": 38.5 if formats == "w8a8" else 39.25,
        "area_um2": None if failed else area,
        "area_mm2": None if failed else area / 1e6,
        "nj_per_voxel": None if failed else power * 1e3 / number,
        "voxels_per_second": number * 4000,
        "front": rows == columns and not failed,
        "feasible": (rows, columns, formats) != OUTSIDE,
        "blocks": json.dumps({} if failed else blocks),
        "command": f"implicore synth -o point --set rows={rows} --set columns={columns} "
        f"--set formats={formats}",
    }


ROWS = [point(rows, columns, formats) for rows in SIDES for columns in SIDES for formats in FORMATS]
TITLES = [title_of(row) for row in ROWS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    write(folder)
    (folder / "images").mkdir()
    for shade, name in enumerate(("source", *FORMATS)):
        picture = np.full((12, 10), 40 * (shade + 1), np.uint8)
        Image.fromarray(picture).save(folder / "images" / f"{name}.png")
    assert sweep_page(folder) == folder / "report.html"
    return folder


def write(folder, rows=ROWS):
    pd.DataFrame(rows).to_parquet(folder / "results.parquet")
    objectives = {"psnr_db": "max", "nj_per_voxel": "min", "area_mm2": "min"}
    description = {
        "objectives": objectives,
        "constraints": ["area_mm2 < 3"],
        "target": "A library",
        "corner": "typical",
        "left_out": ["wires"],
        "image": "scan.nii.gz",
    }
    (folder / "sweep.json").write_text(json.dumps(description))


def marks(page):
    """Return the position of each point's mark on the screen, by row number."""
    return dict(
        page.evaluate(
            """() => [...document.querySelectorAll("#scatter .scatterlayer .points path")]
            .filter((mark) => typeof mark.__data__.data === "number")
            .map((mark) => {
              const box = mark.getBoundingClientRect();
              return [mark.__data__.data, [box.x + box.width / 2, box.y + box.height / 2]];
            })"""
        )
    )


def test_clicking_a_point_shows_its_details(folder, open_page):
    page = open_page(folder / "report.html")
    number = TITLES.index("16 × 8 w8a12 demo")
    where = marks(page)
    failed = next(n for n, row in enumerate(ROWS) if row["source"] == "failed")
    assert set(where) == set(range(len(ROWS))) - {failed}
    page.mouse.move(*where[number])
    page.mouse.click(*where[number])
    page.wait_for_function("document.querySelector('#point h2').textContent.startsWith('16 × 8')")
    assert page.locator("#point h2").inner_text() == "16 × 8 w8a12 demo"
    assert page.locator("#command").inner_text() == ROWS[number]["command"]
    area = 9000 * 16 * 8 * 1.37 / 1e6
    bars = [line.split() for line in page.locator("#blocks-area tr").all_inner_texts()]
    assert bars == [["array", f"{area:.3g}"], ["memory", "weights", "0.4"]]
    assert page.locator("#blocks-power tr").first.inner_text().split() == ["array", "140.3"]
    shades = page.evaluate(
        """() => [...document.querySelectorAll("#point img")].map((image) => {
          const canvas = document.createElement("canvas");
          const context = canvas.getContext("2d");
          context.drawImage(image, 0, 0);
          return context.getImageData(3, 3, 1, 1).data[0];
        })"""
    )
    assert shades == [40, 120]  # the source's, and that of w8a12
    page.locator("#point button.copy").click()
    page.wait_for_function("document.querySelector('#point button.copy').textContent !== 'Copy'")


def test_filters_table_and_axes(folder, open_page):
    page = open_page(folder / "report.html")
    assert page.locator("#count").inner_text() == f"{len(ROWS)} of {len(ROWS)} points"
    page.locator("input[data-column=formats][data-value=w8a8]").uncheck()
    page.locator("input[data-column=feasible][data-value=false]").uncheck()
    left = [row for row in ROWS if row["formats"] == "w8a12" and row["feasible"]]
    assert page.locator("#count").inner_text() == f"{len(left)} of {len(ROWS)} points"
    page.get_by_label("max Area, mm²").fill("1.5")
    left = [row for row in left if row["area_mm2"] and row["area_mm2"] <= 1.5]
    assert page.locator("#count").inner_text() == f"{len(left)} of {len(ROWS)} points"
    assert set(marks(page)) == {ROWS.index(row) for row in left}
    header = page.locator("#points th", has_text="Area, mm²")
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "ascending"
    ordered = [title_of(row) for row in sorted(left, key=lambda row: row["area_mm2"])]
    names = page.locator("#points .name").all_inner_texts()
    assert [re.sub(" Pareto front$", "", name.strip()) for name in names] == ordered
    page.locator("#points tbody tr").last.press("Enter")
    assert page.locator("#point h2").inner_text() == ordered[-1]
    page.locator("#filters button[type=reset]").click()
    page.wait_for_function(
        f"document.querySelector('#count').textContent.startsWith('{len(ROWS)}')"
    )
    page.locator("#x").select_option("voxels_per_second")
    title = page.locator("#scatter .xtitle").text_content()
    assert title == "Throughput, million voxels/s"


def test_a_failed_point_is_shown_with_its_error(folder, open_page):
    page = open_page(folder / "report.html")
    page.locator("#points tr", has_text="8 × 16 w8a12").click()
    assert "abc failed (1): </script><b>out of memory</b>" in page.locator("#point").inner_text()
    assert page.locator("#point .badge.bad").inner_text() == "failed"
    assert page.locator("#blocks-area").count() == 0


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_fits_the_screen(folder, open_page, width, scheme):
    page = open_page(folder / "report.html", width=width, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 21, 26)"
    assert dark == (scheme == "dark")


def test_plots_as_files(folder):
    assert Image.open(folder / "front.png").size[0] > 1000
    svg = (folder / "front.svg").read_text()
    assert "Area, mm²" in svg and "Energy per voxel, nJ" in svg


def test_equal_results_make_equal_files(folder):
    names = ("report.html", "front.svg", "front.png")
    before = [(folder / name).read_bytes() for name in names]
    sweep_page(folder)
    assert before == [(folder / name).read_bytes() for name in names]


def test_without_energy_and_pictures(tmp_path, open_page):
    """A sweep without a program has only areas and clocks."""
    gone = ("psnr_db", "nj_per_voxel")
    write(tmp_path, [{name: row[name] for name in row if name not in gone} for row in ROWS])
    page = open_page(sweep_page(tmp_path))
    assert len(marks(page)) == len(ROWS) - 1
    assert page.locator("#point img").count() == 0
    assert not (tmp_path / "front.svg").read_text().count("nJ")


def test_damaged_folders_are_rejected(tmp_path):
    with pytest.raises(BadInput, match=r"sweep\.json cannot be read: No such file"):
        sweep_page(tmp_path)
    write(tmp_path)
    (tmp_path / "results.parquet").unlink()
    with pytest.raises(BadInput, match=r"results\.parquet cannot be read: No such file"):
        sweep_page(tmp_path)
    (tmp_path / "results.parquet").write_text("point,rows\n")
    with pytest.raises(BadInput, match=r"results\.parquet is damaged: it is not a table"):
        sweep_page(tmp_path)
    pd.DataFrame(ROWS[:0]).to_parquet(tmp_path / "results.parquet")
    with pytest.raises(BadInput, match=r"results\.parquet contains no points\."):
        sweep_page(tmp_path)
    (tmp_path / "sweep.json").write_text("[1")
    with pytest.raises(BadInput, match=r"sweep\.json is damaged: it is not JSON\."):
        sweep_page(tmp_path)


def test_empty_cell_reads_as_none(folder):
    rows = read_results(folder / "results.parquet")
    failed = next(row for row in rows if row["source"] == "failed")
    assert failed["area_mm2"] is None and failed["blocks"] == {}
    assert rows[0]["error"] is None and type(rows[0]["rows"]) is int
