"""The tree keeps the rules that the documents state."""

import ast
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import psk

ROOT = Path(__file__).parents[1]
SOURCES = sorted(ROOT.glob("core/src/**/*.py")) + sorted(ROOT.glob("packages/*/src/**/*.py"))
SUITE = ROOT / "packages/testing/src/psk_testing"
#: The conformance suite is made of tests, which assert, and which pickle connectors of their own.
PROGRAMS = [path for path in SOURCES if not path.is_relative_to(SUITE / "conformance") and path != SUITE / "peer.py"]

#: What `import psk` offers; changing it is a change for every user.
SURFACE = """
FileConnector LocalConnector MultiConnector Proxy ProxyOr PskError ShmConnector Store StoreConfig
aresolve extract find_connector get_factory
get_key get_or_create_store get_store hookimpl is_resolved register_codec register_store resolve resolve_async
set_policy set_signing_key store_registration sweep unregister_store
"""


def test_the_public_surface_is_pinned():
    assert sorted(psk.__all__) == SURFACE.split()
    assert all(hasattr(psk, name) for name in psk.__all__)


#: Longer than others, with the reason.
LONG = {
    "core/src/psk/store/store.py": 900,  # one class with forty public methods, half of it their documentation
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_is_not_too_long_and_says_what_it_holds(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LONG.get(str(path.relative_to(ROOT)), 600)
    assert ast.get_docstring(ast.parse(text)), "the module has no docstring"


def test_a_module_docstring_is_a_statement_and_asks_nothing():
    places = ("core", "packages", "tests", "benchmarks", "examples", ".ci")
    paths = [ROOT / "conftest.py", *(path for place in places for path in sorted((ROOT / place).rglob("*.py")))]
    statements = {path: ast.get_docstring(ast.parse(path.read_text())) or "" for path in paths}
    assert not [path for path, statement in statements.items() if re.search(r"\?(\s|$)", statement)]


def test_imports_run_one_way():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def module_at(path, source):
    """Give the name of the module that a file is, in a tree of sources."""
    parts = path.relative_to(source).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_between(modules):
    """Give the modules that each module imports: when it is loaded, inside its functions, and for types alone.

    Args:
        modules: The path of each module's file, by the module's name.
    """
    imports = {}
    for module, path in modules.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom):
                submodules = {f"{node.module}.{name.name}" for name in node.names}
                found |= submodules & modules.keys() or {node.module}
        imports[module] = found & modules.keys() - {module}
    return imports


def circles_in(imports):
    """Give the largest sets of modules each of which imports all others, directly or by way of them."""
    reached = {}
    for module in imports:
        seen, waiting = set(), [module]
        while waiting:
            following = imports[waiting.pop()] - seen
            seen |= following
            waiting += following
        reached[module] = seen
    circles = {frozenset(other for other in reached[module] if module in reached[other]) for module in imports}
    return sorted(sorted(circle) for circle in circles if circle)


def test_no_modules_import_each_other_in_a_circle():
    trees = [ROOT / "core/src", *ROOT.glob("packages/*/src")]
    modules = {module_at(path, tree): path for tree in trees for path in tree.rglob("*.py")}
    assert circles_in(imports_between(modules)) == []


def test_a_circle_of_imports_is_found(tmp_path):
    texts = {
        "package/__init__.py": "",
        "package/one.py": "if TYPE_CHECKING:\n    from package.two import Two",
        "package/two.py": "def later():\n    import package.three",
        "package/three.py": "from package import one",
        "package/four.py": "from package.one import One",
    }
    (tmp_path / "package").mkdir()
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    modules = {module_at(tmp_path / name, tmp_path): tmp_path / name for name in texts}
    assert circles_in(imports_between(modules)) == [["package.one", "package.three", "package.two"]]


def test_what_starts_afresh_in_a_forked_child_is_registered_in_one_place():
    found = {str(path.relative_to(ROOT)) for path in PROGRAMS if "os.register_at_fork(" in path.read_text()}
    # Sessions of shared memory hold a lock while their process forks.
    assert found <= {"core/src/psk/fork.py", "core/src/psk/connectors/shm/session.py"}


def test_nothing_asserts_on_input():
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PROGRAMS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assert)
    ]
    assert found == []


def test_pickles_are_decoded_in_one_place():
    pattern = re.compile(r"\b(pickle\.loads?|Unpickler|import_module|__import__|eval|exec)\(")
    found = {str(path.relative_to(ROOT)) for path in PROGRAMS if pattern.search(path.read_text())}
    patterns = "packages/patterns/src/psk_patterns"
    # One imports by a fixed table; one holds exceptions in pickles of their own, as their classes may be missing; the
    # others give and take what an engine would have pickled by itself.
    excused = ("__init__", "futures/outcome", "executor/task")
    core = {"core/src/psk/wire/pickling.py", "core/src/psk/plugins/importing.py"}
    assert found <= {*core, *(f"{patterns}/{name}.py" for name in excused)}


@pytest.mark.parametrize("path", sorted(ROOT.glob("packages/connector-redis/src/**/*.py")), ids=lambda path: path.stem)
def test_a_connector_uses_public_names_of_psk_alone(path):
    places = {"psk.connectors", "psk.connectors.toolkit", "psk.errors", "psk.plugins"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("psk."):
            assert node.module in places
            public = getattr(import_module(node.module), "__all__", dir(psk.errors))
            assert {name.name for name in node.names} <= set(public)
        if isinstance(node, ast.Import):
            assert not [name.name for name in node.names if f"{name.name}.".startswith("psk.")]


TOOLS = [path for name in ("bench", "testing") for path in sorted(ROOT.glob(f"packages/{name}/src/**/*.py"))]


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_the_tools_of_authors_use_public_names_of_psk_alone(path):
    rooms = ("cli", "connectors", "errors", "plugins", "store", "wire")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("psk."):
            assert node.module in {"psk", *(f"psk.{room}" for room in rooms)}
            public = {*getattr(import_module(node.module), "__all__", dir(psk.errors)), "__version__"}
            assert {name.name for name in node.names} <= public
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names if f"{name.name}.".startswith("psk.")} <= {"psk"}


@pytest.mark.parametrize("path", sorted(ROOT.glob("packages/patterns/src/**/*.py")), ids=lambda path: path.stem)
def test_patterns_use_public_names_of_psk_alone(path):
    rooms = ("connectors", "errors", "fork", "proxy", "store", "wire")
    places = {"psk", *(f"psk.{room}" for room in rooms)}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith("psk."):
            assert node.module in places
            public = getattr(import_module(node.module), "__all__", dir(psk.errors))
            assert {name.name for name in node.names} <= set(public)
        if isinstance(node, ast.Import):
            assert {name.name for name in node.names if f"{name.name}.".startswith("psk.")} <= places
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "store":
            assert not node.attr.startswith("_")


@pytest.mark.parametrize("folder", [ROOT / "core", *sorted(ROOT.glob("packages/*/"))], ids=lambda folder: folder.name)
def test_the_version_is_the_same_everywhere(folder):
    declared = re.search(r'^version = "(.+)"$', (folder / "pyproject.toml").read_text(), re.MULTILINE)
    assert declared
    (module,) = folder.glob("src/*/__init__.py")
    assert f'__version__ = "{declared[1]}"' in module.read_text()
    assert f"## {declared[1]}" in (folder / "CHANGELOG.md").read_text()


IMPORTED = """
import sys
before = set(sys.modules)
sys.path.insert(0, {source!r})
import psk
psk.Store.from_uri({uri!r}).close()
print(*{{name.partition(".")[0] for name in set(sys.modules) - before}})
"""
#: What importing psk and opening a file store loads beside psk itself, over an interpreter with nothing but builtins.
LOADED = """
__future__ _bisect _collections _collections_abc _compat_pickle _contextvars _functools _operator _pickle _sre _stat
_struct _typing _weakrefset bisect collections contextlib contextvars copy copyreg enum errno functools genericpath
importlib itertools keyword math mmap operator os pickle posixpath psk re reprlib stat struct threading types typing
warnings weakref zlib _locale annotationlib
"""


def test_importing_psk_and_opening_a_file_store_loads_little(tmp_path):
    code = IMPORTED.format(source=str(ROOT / "core/src"), uri=f"file://{tmp_path}/objects")
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) <= set(LOADED.split())
