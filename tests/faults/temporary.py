"""The places of a run of the tests: a temporary directory and a root of shared memory that nobody else uses.

What other processes of psk on this host leave, make and sweep is then none of the run's, and the other way round.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

VARIABLE = "TMPDIR"
#: Read by psk when it is imported: here it is not yet.
ROOT_VARIABLE = "PSK_SHM_ROOT"
SHARED_MEMORY = "/dev/shm"


def begin():
    """Make both directories and have them used by this process and those that it starts; give what ends that.

    Their names are short: sockets have their paths in them. And they are not ours, so that another run may look for
    what it left.
    """
    before = tempfile.tempdir, {name: os.environ.get(name) for name in (VARIABLE, ROOT_VARIABLE)}
    made = [tempfile.mkdtemp(prefix="t-")]
    # Some tests become another user, to whom what lies within may be shown, as in the shared one.
    Path(made[0]).chmod(0o711)
    tempfile.tempdir = os.environ[VARIABLE] = made[0]
    if os.path.isdir(SHARED_MEMORY):
        made.append(tempfile.mkdtemp(prefix="t-", dir=SHARED_MEMORY))
        Path(made[1]).chmod(0o1777)
        os.environ[ROOT_VARIABLE] = made[1]

    def end():
        tempfile.tempdir = before[0]
        for name, value in before[1].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        for place in made:
            _remove(Path(place))

    return end


def bare_environment(*prefixes):
    """Give the environment without settings of psk, and without others of these prefixes; the run's places stay."""
    return {
        name: value
        for name, value in os.environ.items()
        if name == ROOT_VARIABLE or not name.startswith(("PSK_", *prefixes))
    }


def _remove(folder):
    # Some tests take away the right to write.
    for path in (folder, *folder.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    config.add_cleanup(begin())
