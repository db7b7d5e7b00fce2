import numpy as np
import pandas as pd
import pytest

from implicore.accelerator_config import ACCELERATORS
from implicore.config_file import read_config
from implicore.errors import BadInput
from implicore.synth.explore.selection import best, where, write_best

TABLE = pd.DataFrame(
    {
        "point": pd.array(["a", "b", "c", "d"], "string"),
        "formats": pd.array(["w8a8", "w8a12", "w8a12", "w4a8"], "string"),
        "rows": pd.array([4, 8, 16, None], "Int64"),
        "gate_zeros": pd.array([True, False, True, None], "boolean"),
        "psnr_db": [37.0, 40.0, 41.0, np.nan],
        "area_um2": [1e6, 2e6, 5e6, 3e6],
        "nj_per_voxel": [9.0, 5.0, 3.0, 1.0],
        "feasible": [True, True, True, False],
    }
)


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("psnr_db > 38 and area_um2 < 4e6", [1]),
        ("psnr_db > 38 or area_um2 <= 1e6", [0, 1, 2]),
        ("not psnr_db > 38", [0, 3]),
        ("38 < psnr_db < 40.5", [1]),
        ("formats == 'w8a12'", [1, 2]),
        ('formats in ["w8a8", "w4a8"] and rows != 16', [0]),
        ("area_um2 / 1e6 * psnr_db > 2 * 40", [2]),
        ("rows >= 8", [1, 2]),
        ("gate_zeros", [0, 2]),
        ("-psnr_db < -39", [1, 2]),
        ("  psnr_db > 40", [2]),
    ],
)
def test_conditions(condition, rows):
    assert np.flatnonzero(where(TABLE, condition)).tolist() == rows


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        ("colour > 3", "colour is not a column of a sweep: choose from point, formats"),
        ("psnr_db >", "must be a comparison"),
        ("", "must be a comparison"),
        ("psnr_db = 3", "must be a comparison"),
        ("psnr_db + 3", "must be a comparison"),
        ("3", "must be a comparison"),
        ("psnr_db > '3'", "is not true or false for each row"),
        ("formats > 3", "is not true or false for each row"),
        ("area_um2 and psnr_db", "is not true or false for each row"),
        ("__import__('os').system('touch hit') == 0", "is not allowed"),
        ("psnr_db.__class__ == 3", "is not allowed"),
        ("@pd.io.common.os == 3", "must be a comparison"),
        ("psnr_db.sum() > 3", "is not allowed"),
        ("psnr_db[0] > 3", "is not allowed"),
        ("(lambda: 3)() > 2", "is not allowed"),
        ("[x for x in formats] == 3", "is not allowed"),
        ("psnr_db ** 9 ** 9 ** 9 > 3", "is not allowed"),
        ("(" * 500 + "1" + ")" * 500, "must be a comparison"),
    ],
)
def test_other_texts_are_rejected(condition, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=sentence) as error:
        where(TABLE, condition)
    assert "\n" not in str(error.value) and str(error.value).endswith(".")
    assert not any(tmp_path.iterdir())


def test_the_best_is_the_least_or_greatest_by_metric():
    assert best(TABLE, "nj_per_voxel")["point"] == "c"  # d is not feasible
    assert best(TABLE, "psnr_db")["point"] == "c"
    assert best(TABLE, "nj_per_voxel", "area_um2 < 4e6")["point"] == "b"
    assert best(TABLE, "psnr_db", "psnr_db > 99") is None
    with pytest.raises(BadInput, match="beauty is not a metric of a design: choose from psnr_db"):
        best(TABLE, "beauty")


def test_results_of_an_earlier_version_lack_newer_fields(tmp_path):
    config = ACCELERATORS["tiny"]
    row = {**config.to_dict(), "formats": "w8a12", "feasible": True, "psnr_db": 39.0}
    del row["weight_word_bits"]
    found = write_best(tmp_path, pd.DataFrame([row]), "psnr_db")
    assert read_config(found["config"]) == config
