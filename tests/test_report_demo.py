import json
import re
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from implicore.errors import BadInput
from implicore.formats import Formats
from implicore.sim.timeline import save_timeline
from implicore.synth.report.demo import active_plot, demo_page, summary
from implicore.synth.report.write import write_report

SIMULATED = {
    "voxels": 11368,
    "mismatches": 0,
    "cycles": 2731459,
    "predicted_cycles": 2731459,
    "utilization": 0.9998,
    "cycles_per_second": 508000.0,
}
BLOCKS = {
    "array": {"area_um2": 2.78e6, "power_mw": 357.0},
    "memory weights": {"area_um2": 9.1e5, "power_mw": 60.0},
    "Fourier mapper": {"area_um2": 8.5e4, "power_mw": 6.3},
    "control": {"area_um2": 9.7e4},
}
SYNTH = {
    "target": "A library, 130 nm",
    "corner": "typical, 1.20 V, 25 °C",
    "memories": "SRAM macros of a library",
    "area_um2": 3.87e6,
    "logic_area_um2": 2.96e6,
    "blocks": BLOCKS,
    "fmax_mhz": 292.0,
    "pe_fmax_mhz": 333.0,
    "power_mw": 423.3,
    "pj_per_mac": 5.66,
    "nj_per_voxel": 9.432,
    "voxels_per_second": 4.4879e7,
    "bare": {"pj": 3.73, "accelerator_energy": 1.52},
    "activity": "all nets in 7680 cycles of a decode",
    "left_out": ["wires: no placement, no routing", "the clock tree"],
}
RENDER = {"voxels": 1068592, "voxels_per_second": 7.84e6, "psnr_db": 40.1, "ssim": 0.98}
METRICS = {
    "fit": {"psnr_db": 40.3, "parameters": 93088, "steps": 2619},
    "compile": {"psnr_db": 40.1, "loss_db": 0.2, "bytes": 88051, "bits_per_voxel": 0.66},
    "render": RENDER,
    "generate": {
        "modules": 25,
        "bytes": 367587,
        "config": {"rows": 16, "columns": 16, "formats": asdict(Formats.parse("w8a12"))},
        "files": ["implicore.v", "implicore_memories.v", "implicore.json"],
    },
    "simulate_icarus": {**SIMULATED, "voxels": 256},
    "simulate_verilator": {**SIMULATED, "voxels": 2048},
    "simulate": SIMULATED,
    "synth": SYNTH,
    "sweep": {"points": 12, "failed": 0, "pareto": ["a", "b"]},
    "fit_point": {"psnr_db": 39.5, "parameters": 62401, "steps": 1619},
    "compile_point": {"psnr_db": 39.4, "loss_db": 0.1, "bytes": 58051, "bits_per_voxel": 0.43},
    "render_point": {**RENDER, "voxels_per_second": 368000.0, "psnr_db": 39.4},
    "render_zoom": {"voxels": 102312},
    "synth_point": {**SYNTH, "nj_per_voxel": 348.1, "voxels_per_second": 1.2161e6},
}


def make(folder):
    """Write a small version of the folder of a finished `implicore demo`."""
    steps = {
        name: {
            "title": f"do the {name} of it",
            "command": f"implicore {name.partition('_')[0]} {folder}/mri.inr --a-long-option "
            f"{folder}/with/a/long/path/to/a/file.that.has.no.blank.anywhere",
            "seconds": 12.3,
            "metrics": metrics,
        }
        for name, metrics in METRICS.items()
    }
    (folder / "demo.json").write_text(json.dumps({"steps": steps}))
    ramp = np.add.outer(np.arange(116), np.arange(98)).astype(np.uint8)
    (folder / "slice").mkdir()
    for name in ("source", "golden", "hardware", "loss", "wrong"):
        Image.fromarray(ramp).save(folder / "slice" / f"{name}.png")
    Image.fromarray(ramp).resize((294, 348)).save(folder / "zoom.png")
    cycles = [*range(0, 6000, 72), *range(6000, 2731459, 17000), 2731459]
    readings = [(now, max(0, now - 1180), now // 240) for now in cycles]
    save_timeline(folder / "timeline.csv", readings)
    (folder / "verilog").mkdir()
    for name in METRICS["generate"]["files"]:
        (folder / "verilog" / name).write_text("module implicore; endmodule\n")
    (folder / "sweep").mkdir()
    rows = [
        {
            "point": str(side),
            "rows": side,
            "columns": side,
            "formats": "w8a12",
            "source": "predicted",
            "psnr_db": 39.4,
            "area_mm2": 0.01 * side**2,
            "nj_per_voxel": 8 + 30 / side,
            "voxels_per_second": 160000.0 * side**2,
            "front": side > 3,
            "blocks": "{}",
        }
        for side in range(2, 17)
    ]
    pd.DataFrame(rows).to_parquet(folder / "sweep" / "results.parquet")
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = make(tmp_path_factory.mktemp("demo"))
    assert demo_page(folder) == folder / "report.html"
    return folder


PROBLEMS = """() => {
  const found = [];
  const wide = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > wide) found.push("the page scrolls sideways");
  for (const image of document.images) {
    if (!image.complete || !image.naturalWidth) found.push("a picture is not loaded");
    if (!image.alt) found.push("a picture has no alternative text");
  }
  for (const node of document.querySelectorAll("main *, header *, footer *")) {
    const style = getComputedStyle(node), box = node.getBoundingClientRect();
    const text = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!text || !box.width || style.clipPath !== "none" || node.closest(".hidden, thead, svg"))
      continue;
    if (box.right > wide + 0.5 || box.left < -0.5) found.push("beyond the edge: " + node.outerHTML);
    if (style.display !== "inline" && node.scrollWidth > node.clientWidth + 1)
      found.push("clipped: " + node.outerHTML);
  }
  for (const svg of document.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (box.left < frame.left - 1 || box.right > frame.right + 1 ||
          box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.push("clipped in a plot: " + text.textContent);
      if (box.height < 9) found.push("too small in a plot: " + text.textContent);
    }
  }
  return found;
}"""

CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d");
  const linear = (c) => ((c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  const light = (colour) => {
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
    return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
  };
  const found = [];
  for (const node of document.querySelectorAll("main *, header *, footer *")) {
    const text = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
    if (!text || !node.getBoundingClientRect().width) continue;
    let ground = node;
    const clear = "rgba(0, 0, 0, 0)";
    while (getComputedStyle(ground).backgroundColor === clear) ground = ground.parentElement;
    const style = getComputedStyle(node);
    const ink = light(node.closest("svg") ? style.fill : style.color);
    const paper = light(getComputedStyle(ground).backgroundColor);
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) found.push(ratio.toFixed(2) + " " + node.outerHTML.slice(0, 200));
  }
  return found;
}"""


@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_layout_pictures_and_contrast(folder, open_page, width, scheme, tmp_path):
    page = open_page(folder / "report.html", width=width, scheme=scheme)
    assert page.evaluate(PROBLEMS) == []
    assert page.evaluate(CONTRASTS) == []
    assert page.locator("img").count() == 7 and page.locator("svg").count() == 4
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    pixels = np.asarray(Image.open(tmp_path / "page.png").convert("L"))
    assert pixels.shape[1] == width
    assert (np.median(pixels) < 64) == (scheme == "dark")


def test_the_layout_checks_can_fail(folder, open_page):
    page = open_page(folder / "report.html", width=390)
    page.add_style_tag(content=".lead { white-space: nowrap; } img { display: block }")
    assert any("beyond" in one or "clipped" in one for one in page.evaluate(PROBLEMS))
    page.add_style_tag(content=":root { --soft: #b0b0b0; }")
    assert page.evaluate(CONTRASTS)
    page.evaluate("document.images[0].src = 'data:image/png;base64,AAAA'")
    page.wait_for_function("document.images[0].complete")
    assert "a picture is not loaded" in page.evaluate(PROBLEMS)


def test_the_page_shows_metrics_commands_and_blocks(folder, open_page):
    page = open_page(folder / "report.html")
    text = page.locator("body").inner_text()
    for fact in ("40.1 dB PSNR", "99.98 %", "3.87 mm²", "292 MHz", "9.43 nJ/voxel"):
        assert fact in text
    for name, step in json.loads((folder / "demo.json").read_text())["steps"].items():
        assert step["command"] in text, name
    for what in ("A library, 130 nm", "typical, 1.20 V", "wires: no placement", "video codec"):
        assert what in text
    assert f"{folder}/verilog" in text
    assert "16 × 16 array above was predicted at 2.56 mm² and 9.88 nJ per voxel, and s" in text
    blocks = page.locator("table.bars tr th").all_inner_texts()
    assert [one for one in blocks if one in BLOCKS] == [
        *("array", "memory weights", "control", "Fourier mapper"),
        *("array", "memory weights", "Fourier mapper"),
    ]
    energies = page.locator("table.bars").nth(1).locator("td.number").all_inner_texts()
    total = sum(float(text.split()[0]) for text in energies)
    assert total == pytest.approx(METRICS["synth"]["nj_per_voxel"], rel=0.001)


def test_both_networks_are_compared(folder, open_page):
    page = open_page(folder / "report.html")
    rows = page.locator("table.compared tr").all_inner_texts()
    rows = {title: texts for title, *texts in (row.split("\t") for row in rows)}
    assert rows["Network"] == ["Patches", "Single voxels"]
    assert rows["Voxels per pass"] == ["4 × 4 × 4", "1"]
    assert rows["Multiply-accumulates per voxel"] == ["1,512", "61,504"]
    assert rows["Quality of the program"] == ["40.10 dB", "39.40 dB"]
    assert rows["Size of the program"] == ["0.66 bits per voxel", "0.43 bits per voxel"]
    assert rows["Golden model"] == ["7.84 M voxels/s", "0.368 M voxels/s"]
    assert rows["Energy"] == ["9.43 nJ per voxel", "348 nJ per voxel"]
    assert rows["Speed"] == ["685 slices/s", "18.6 slices/s"]
    assert "takes 1/37 of the energy" in page.locator("body").inner_text()


def test_links_resolve(folder, open_page):
    page = open_page(folder / "report.html")
    targets = page.eval_on_selector_all("a", "links => links.map(l => l.getAttribute('href'))")
    assert "verilog/implicore.v" in targets and "sweep/report.html" in targets
    assert all((folder / target).is_file() for target in targets if "sweep" not in target)


def test_magnified_regions_are_equal(folder, open_page):
    page = open_page(folder / "report.html")
    sizes = page.evaluate(
        "() => [...document.querySelectorAll('.closer img')]"
        ".map((image) => [image.naturalWidth, image.naturalHeight])"
    )
    (coarse, fine) = np.array(sizes)
    assert (fine == 3 * coarse).all() and coarse.min() > 30


def test_utilization_over_time():
    readings = np.array([(0, 0, 0), (100, 0, 0), (200, 50, 1), (300, 150, 2)])
    (bars, _) = active_plot(readings).axes[0].patches
    assert bars.get_data().values.tolist() == [0, 50, 100]
    assert (bars.get_data().edges * 1e6).tolist() == [0, 100, 200, 300]


def test_mismatches_are_reported(tmp_path):
    make(tmp_path)
    record = json.loads((tmp_path / "demo.json").read_text())
    record["steps"]["simulate"]["metrics"]["mismatches"] = 3
    (tmp_path / "demo.json").write_text(json.dumps(record))
    page = re.sub(r"\s+", " ", demo_page(tmp_path).read_text())
    returned = "voxels that its simulated Verilog returned for the patches of this slice"
    assert f"3 of the 11,368 {returned} differ" in page
    assert "All 11,368" not in page and "3 different from the golden model" in page


def test_summary_for_the_terminal(folder):
    lines = dict(summary(METRICS, folder))
    assert lines["Area"] == "3.87 mm²" and lines["Energy"] == "9.43 nJ/voxel"
    assert lines["Patches"] == "40.1 dB, 0.66 bits and 9.43 nJ per voxel, 685 slices/s"
    assert lines["Single voxels"] == "39.4 dB, 0.43 bits and 348 nJ per voxel, 18.6 slices/s"
    assert lines["Verilog"] == str(folder / "verilog" / "implicore.v")


def test_a_folder_without_a_page_is_rejected(folder, tmp_path):
    assert write_report(folder) == folder / "report.html"
    with pytest.raises(BadInput, match=r"contains neither a sweep \(sweep\.json\) nor a demo"):
        write_report(tmp_path)
    make(tmp_path)
    record = json.loads((tmp_path / "demo.json").read_text())
    for name in ("slice/loss.png", "timeline.csv", "zoom.png", "sweep/results.parquet"):
        kept = (tmp_path / name).read_bytes()
        (tmp_path / name).unlink()
        with pytest.raises(BadInput, match=rf"{name} cannot be read: No such file"):
            write_report(tmp_path)
        (tmp_path / name).write_bytes(kept)
    del record["steps"]["synth"]
    (tmp_path / "demo.json").write_text(json.dumps(record))
    with pytest.raises(
        BadInput, match=r"is not finished \(synth is missing\): continue it with implicore demo -o "
    ):
        write_report(tmp_path)
