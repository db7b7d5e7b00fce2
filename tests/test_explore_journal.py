import json

import pytest

from implicore.errors import BadInput
from implicore.synth.explore.journal import NAME, Journal


def record(number: int, **more) -> dict:
    return {"stage": "predicted", "point": f"p{number}", "area_um2": 1.5 * number, **more}


def filled(folder, count=3):
    journal = Journal(folder, "digest", resume=False)
    journal.add([record(0, psnr_db=float("nan"))])
    journal.add(record(number) for number in range(1, count))
    journal.close()
    return folder / NAME


def test_records_are_read_again(tmp_path):
    filled(tmp_path)
    journal = Journal(tmp_path, "digest", resume=True)
    assert journal.records["predicted", "p2"] == record(2)
    assert journal.records["predicted", "p0"]["psnr_db"] is None
    journal.add([record(9)])
    journal.close()
    assert len(Journal(tmp_path, "digest", resume=True).records) == 4


def test_records_are_in_the_file_at_once(tmp_path):
    journal = Journal(tmp_path, "digest", resume=False)
    for number in range(3):
        journal.add([record(number)])
        assert json.loads((tmp_path / NAME).read_text().splitlines()[-1]) == record(number)
    journal.close()


@pytest.mark.parametrize("cut", [1, 7, 30])
def test_an_incomplete_last_line_is_removed(tmp_path, cut):
    path = filled(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    journal = Journal(tmp_path, "digest", resume=True)
    assert set(journal.records) == {("predicted", "p0"), ("predicted", "p1")}
    journal.add([record(7)])
    journal.close()
    lines = path.read_text().splitlines()
    assert [json.loads(line).get("point") for line in lines] == [None, "p0", "p1", "p7"]


def test_a_journal_without_records_is_overwritten(tmp_path):
    (tmp_path / NAME).write_text('{"swe')
    Journal(tmp_path, "digest", resume=False).close()
    Journal(tmp_path, "another", resume=False).close()
    journal = Journal(tmp_path, "third", resume=True)
    journal.add([record(1)])
    journal.close()
    assert (tmp_path / NAME).read_text().count("\n") == 2
    with pytest.raises(BadInput, match="already holds a sweep"):
        Journal(tmp_path, "third", resume=False)


def test_rejected_folders(tmp_path):
    path = filled(tmp_path)
    with pytest.raises(BadInput, match=r"already holds a sweep: continue it with --resume or"):
        Journal(tmp_path, "digest", resume=False)
    with pytest.raises(BadInput, match=r"holds another sweep: the description .* has changed"):
        Journal(tmp_path, "other", resume=True)
    with Busy(tmp_path), pytest.raises(BadInput, match="Another sweep is running in"):
        Journal(tmp_path, "digest", resume=True)
    path.write_text(path.read_text().replace("p1", '"'))
    with pytest.raises(BadInput, match="is damaged"):
        Journal(tmp_path, "digest", resume=True)
    with pytest.raises(BadInput, match="cannot be written"):
        Journal(tmp_path / "none", "digest", resume=False)


class Busy:
    """Context in which another sweep runs in a folder."""

    def __init__(self, folder):
        self.journal = Journal(folder, "digest", resume=True)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.journal.close()
