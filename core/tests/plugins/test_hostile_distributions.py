"""Whatever the metadata of a distribution says, it is listed as far as it can be read and affects no other."""

import json
import os
import subprocess
import sys

import pytest

from faults.temporary import bare_environment

METADATA = b"Metadata-Version: 2.1\nName: odd\nVersion: 1\n"
PROGRAM = """
import json, sys
import psk
from psk import plugins
before = set(sys.modules)
rows = [row.as_dict() for row in plugins.installed() if row.distribution != "psk-core"]
psk.Store("s", "local://s").close()
failures = []
for row in rows[:30]:
    try:
        plugins.load(row["kind"], row["name"])
    except psk.PskError as error:
        failures.append(f"{type(error).__name__}: {error}")
print(json.dumps({"rows": rows, "failures": failures}))
"""


def entry(*lines):
    return b"[psk]\n" + b"\n".join(lines) + b"\n"


HOSTILE = {
    "built in": (entry(b"connector.file = os:system", b"codec.pickle = os:system"), METADATA),
    "no kind": (entry(b"x = os", b" = os", b".= os", b"x.y = os", b"connector. = os", b"= ="), METADATA),
    "control": (entry(b"connector.\x1b[2Jx = os", "connector.\u202ex = os".encode(), b"connector.\0 = os"), METADATA),
    "targets": (
        entry(b"connector.a = ../../x:y", b"connector.b = os;x", b"connector.c =", b"connector.d = ..:x"),
        METADATA,
    ),
    "no text": (b"\xff\xfe[psk]\nconnector.x = os", METADATA),
    "no metadata": (entry(b"connector.x = os"), b""),
    "odd metadata": (entry(b"connector.x = os"), b"\xff\0\n" * 1000),
    "control metadata": (entry(b"connector.x = os"), b"Name: \x1b[31mx\nVersion: \r1\n"),
    "many": (entry(*(b"connector.zz%d = os" % number for number in range(300))), METADATA),
    "long": (entry(b"connector." + b"x" * 1_000_000 + b" = os"), METADATA),
    "long range": (entry(b"connector.x = os"), METADATA + b"Requires-Dist: psk-core" + b">=0," * 2_000 + b"<0"),
    "deep range": (entry(b"connector.x = os"), METADATA + b"Requires-Dist: psk-core (" + b"(" * 50_000),
    "long name": (entry(b"connector.x = os"), METADATA + b"Requires-Dist: " + b"a-" * 50_000 + b"!"),
    "long version": (entry(b"connector.x = os"), METADATA + b"Requires-Dist: psk-core>=" + b"9." * 50_000 + b"x"),
    "large version": (entry(b"connector.x = os"), METADATA + b"Requires-Dist: psk-core>=" + b"9" * 10_000),
}


def run(folder, *words):
    environment = bare_environment()
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, *words], env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=20
    ).stdout


def test_odd_distributions_are_listed_and_fail_in_words(tmp_path):
    for number, (entry_points, metadata) in enumerate(HOSTILE.values()):
        folder = tmp_path / f"odd{number}-1.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(entry_points.replace(b"connector.x =", b"connector.x%d =" % number))
        (folder / "METADATA").write_bytes(metadata.replace(b"Name: odd", b"Name: odd%d" % number))
    answer = json.loads(run(tmp_path, "-c", PROGRAM))
    found = {row["distribution"] for row in answer["rows"]}
    unseen = {name for number, name in enumerate(HOSTILE) if f"odd{number}" not in found}
    assert unseen == {"no text", "long", "control metadata"}
    assert "\x1b[31mx" in found
    assert all("Error: " in failure and len(failure) < 1000 for failure in answer["failures"])
    listed = run(tmp_path, "-m", "psk", "plugins", "list")
    assert "psk-core" in listed
    assert all(line.isprintable() for line in listed.splitlines())


@pytest.mark.parametrize("place", ["entry_points.txt", "METADATA"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "secret"])
def test_what_cannot_be_read_stops_nobody(tmp_path, place, kind):
    folder = tmp_path / "odd-1.dist-info"
    folder.mkdir()
    (folder / "entry_points.txt").write_bytes(entry(b"observer.x = os"))
    (folder / place).unlink(missing_ok=True)
    make = {
        "pipe": os.mkfifo,
        "folder": os.mkdir,
        "loop": lambda path: os.symlink(path, path),
        "secret": lambda path: os.close(os.open(path, os.O_CREAT, 0)),
    }
    make[kind](folder / place)
    assert json.loads(run(tmp_path, "-c", PROGRAM))["rows"] is not None
