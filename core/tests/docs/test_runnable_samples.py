"""Do the code samples of the documentation run, and does psk have every name that the pages mention?

A fence that begins with "```python run" or "```sh run" is a whole program: it runs alone, in an empty directory.
"""

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[3]
FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "ARCHITECTURE.md", "docs/porting.md", "docs/why.md", "docs/proxy.md", "SECURITY.md")
TEXTS = {page: (ROOT / page).read_text() for page in PAGES}
FENCES = [
    (page, language, flag.strip(), text)
    for page, content in TEXTS.items()
    for language, flag, text in FENCE.findall(content)
]
PROGRAMS = [fence for fence in FENCES if fence[2] == "run"]
INTERPRETERS = {"python": (sys.executable, "-W", "error", "-c"), "sh": ("/bin/sh", "-euc")}


@pytest.mark.parametrize(
    ("language", "program"),
    [fence[1::2] for fence in PROGRAMS],
    ids=[f"{page}-{number}" for number, (page, *_) in enumerate(PROGRAMS)],
)
def test_sample_runs(language, program, tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PSK_")}
    done = subprocess.run(
        [*INTERPRETERS[language], program],
        cwd=tmp_path,
        env={**environment, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_python_sample_runs_unless_it_shows_proxystore():
    left_out = [text for _, language, flag, text in FENCES if language == "python" and flag != "run"]
    # A program that spawns must be a file: test_readme.py compares it with the example that the tests run.
    assert [text for text in left_out if "proxystore" not in text and "spawn" not in text] == []


@pytest.mark.parametrize(
    "name", sorted({name for text in TEXTS.values() for name in re.findall(r"`(psk(?:\.\w+)+)[(`]", text)})
)
def test_mentioned_name_exists(name):
    found = import_module("psk")
    for part in name.split(".")[1:]:
        if isinstance(found, ModuleType) and not hasattr(found, part):
            import_module(f"{found.__name__}.{part}")
        found = getattr(found, part)


def test_the_key_file_of_the_sample_is_accepted(tmp_path, monkeypatch):
    from psk.wire import find_signing_key

    (program,) = [text for _, language, _, text in PROGRAMS if language == "sh"]
    subprocess.run([*INTERPRETERS["sh"], program], env={**os.environ, "HOME": str(tmp_path)}, timeout=60, check=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("PSK_KEY_DIR", raising=False)
    assert find_signing_key("team").name == "team"
