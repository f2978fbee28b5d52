"""The lock on writing a file: one holder at a time, none left by a process that was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from latentsdf.core.file_lock import exclusive_writer

HOLDING = """
import sys, time
from latentsdf.core.file_lock import exclusive_writer
with exclusive_writer(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_waits_and_gets_a_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    with exclusive_writer(path):
        with pytest.raises(TimeoutError, match=r"another process is writing .*space\.h5"), exclusive_writer(path, 0.1):
            pytest.fail("two writers hold the lock")
        assert [item.name for item in tmp_path.iterdir()] == [".space.h5.lock"]
    with exclusive_writer(path, 0.0):
        pass
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "space.h5"
    process = subprocess.Popen([sys.executable, "-c", HOLDING, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(TimeoutError), exclusive_writer(path, 0.05):
        pytest.fail("two writers hold the lock")
    process.kill()
    process.communicate()
    with exclusive_writer(path, 5.0):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="could not write"), exclusive_writer(tmp_path / "none" / "space.h5"):
        pytest.fail("there is no such folder")
