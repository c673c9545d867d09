"""Does the tree keep the rules that the documents state?"""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import psk

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("core/src/**/*.py")) + sorted(ROOT.glob("packages/*/src/**/*.py"))

#: What `import psk` offers; changing it is a change for every user.
SURFACE = [
    "FileConnector",
    "LocalConnector",
    "Proxy",
    "ProxyOr",
    "PskError",
    "Store",
    "StoreConfig",
    "aresolve",
    "extract",
    "find_connector",
    "get_factory",
    "get_key",
    "get_or_create_store",
    "get_store",
    "is_resolved",
    "register_codec",
    "register_store",
    "resolve",
    "resolve_async",
    "set_policy",
    "set_signing_key",
    "store_registration",
    "unregister_store",
]


def test_the_public_surface_is_pinned():
    assert sorted(psk.__all__) == SURFACE
    assert all(hasattr(psk, name) for name in SURFACE)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_short_and_says_what_it_is_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"


def test_imports_run_one_way():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_asserts_on_input():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_pickles_are_decoded_in_one_place():
    pattern = re.compile(r"\b(pickle\.loads?|Unpickler|import_module|__import__|eval|exec)\(")
    found = {str(path.relative_to(ROOT)) for path in SOURCES if pattern.search(path.read_text())}
    assert found <= {"core/src/psk/wire/pickling.py", "core/src/psk/connectors/catalog.py"}


def test_the_version_is_the_same_everywhere():
    declared = re.search(r'^version = "(.+)"$', (ROOT / "core/pyproject.toml").read_text(), re.MULTILINE)
    assert declared
    assert psk.__version__ == declared[1]
    assert f"## {psk.__version__}" in (ROOT / "core/CHANGELOG.md").read_text()


IMPORTED = """
import sys
before = set(sys.modules)
import psk
psk.Store.from_uri({uri!r}).close()
print(*sorted(set(sys.modules) - before), sep="\\n")
"""
#: What importing psk and opening a file store may load beside psk itself, over a bare interpreter.
ALLOWED = {
    *[
        "__future__",
        "_ast",
        "_bisect",
        "_bz2",
        "_collections",
        "_compat_pickle",
        "_compression",
        "_functools",
        "_lzma",
        "_operator",
        "_pickle",
        "_random",
    ],
    *[
        "_struct",
        "_thread",
        "_typing",
        "_weakref",
        "_weakrefset",
        "bisect",
        "collections",
        "collections.abc",
        "contextlib",
        "copyreg",
        "errno",
        "fcntl",
    ],
    *[
        "functools",
        "heapq",
        "itertools",
        "keyword",
        "math",
        "mmap",
        "operator",
        "pickle",
        "random",
        "re",
        "re._casefix",
        "re._compiler",
        "re._constants",
    ],
    *[
        "re._parser",
        "reprlib",
        "select",
        "struct",
        "threading",
        "time",
        "types",
        "typing",
        "typing.io",
        "typing.re",
        "weakref",
        "zlib",
        "enum",
    ],
    *["_heapq", "_weakref", "_locale", "locale", "stat"],
}


def test_importing_psk_and_opening_a_file_store_loads_little(tmp_path):
    code = IMPORTED.format(uri=f"file://{tmp_path}/objects")
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(ROOT / 'core/src')!r})\n{code}",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = {name for name in done.stdout.split() if name.partition(".")[0] != "psk"}
    assert loaded <= ALLOWED
