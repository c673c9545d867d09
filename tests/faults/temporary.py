"""Which temporary directory do the tests use? One of this run alone: what others leave in a shared one is not ours."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

VARIABLE = "TMPDIR"


def begin():
    """Make a directory and have it used by this process and those that it starts; give what ends that.

    Its name is short: sockets have their paths in it. And it is not ours: another run may look for what it left.
    """
    before = tempfile.tempdir, os.environ.get(VARIABLE)
    own = tempfile.mkdtemp(prefix="t-")
    # Some tests become another user, to whom what lies within may be shown, as in the shared one.
    Path(own).chmod(0o711)
    tempfile.tempdir = os.environ[VARIABLE] = own

    def end():
        tempfile.tempdir = before[0]
        if before[1] is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before[1]
        _remove(Path(own))

    return end


def _remove(folder):
    # Some tests take away the right to write.
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.add_cleanup(begin())
