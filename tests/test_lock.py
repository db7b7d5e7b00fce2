import errno
import fcntl

import pytest

from implicore.errors import BadInput
from implicore.lock import lock


def test_lock_is_exclusive_until_the_file_is_closed(tmp_path):
    with open(tmp_path / "lock", "w") as first, open(tmp_path / "lock", "w") as second:
        assert lock(first)
        assert not lock(second, wait=False)
        first.close()
        assert lock(second, wait=False)


def test_file_system_without_locks(monkeypatch, tmp_path):
    def flock(file, flags):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)
    with (
        open(tmp_path / "lock", "w") as file,
        pytest.raises(BadInput, match=r"^/.*/lock cannot be locked: No locks available\.$"),
    ):
        lock(file)
