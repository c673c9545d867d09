"""Install the built distributions: the core alone, with Redis, and with a connector written elsewhere."""

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from servers import MissingServerError, RedisServer

from faults.pythons import uv
from faults.temporary import bare_environment

ROOT = Path(__file__).parents[1]
with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(ROOT / ".ci")
    import release
    import release_check
DISTRIBUTIONS = [ROOT / "core", *sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))]
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """A folder with the wheel of every distribution."""
    built = tmp_path_factory.mktemp("wheels")
    for folder in DISTRIBUTIONS:
        uv("build", "--quiet", "--wheel", "--out-dir", built, folder)
    return built


@pytest.fixture
def redis_uri(tmp_path):
    """Where a real redis-server listens."""
    try:
        with RedisServer(tmp_path) as server:
            yield server.uri
    except MissingServerError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(error))


class Environment:
    """An empty environment into which some distributions are installed, as a user does it."""

    def __init__(self, place, wheels):
        self.place, self.wheels = place, wheels
        uv("venv", "--quiet", place)

    def install(self, *what):
        uv("pip", "install", "--quiet", "--python", self.place, "--find-links", self.wheels, *what)

    def run(self, *words, stdin=None):
        """Run a program of the environment, far from this repository; give the finished process."""
        words = [self.place / "bin" / words[0], *words[1:]]
        environment = bare_environment("PYTHON")
        return subprocess.run(
            list(map(str, words)),
            cwd=self.place,
            env=environment,
            input=stdin,
            capture_output=True,
            check=False,
            timeout=300,
        )

    def psk(self, *words, code=0):
        """Run the command `psk` with --json and give what it answers."""
        done = self.run("psk", *words, "--json")
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    @contextmanager
    def session(self, uri):
        """Keep a session open in a program of the environment: what commands put there outlives them."""
        program = f"import psk, sys; store = psk.Store.from_uri({uri!r}); print('open', flush=True); sys.stdin.read()"
        words = [self.place / "bin/python", "-I", "-c", program]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout.readline() == "open\n"
            yield
            running.stdin.close()


@pytest.fixture
def environment(tmp_path, wheels):
    return Environment(tmp_path / "empty", wheels)


def use_channel(environment, uri):
    """Do with a channel what the command offers; what is put is got, seen, and gone in the end."""
    source = environment.place / "some-file"
    source.write_bytes(os.urandom(300_000))
    key = environment.psk("put", uri, source)["key"]
    assert environment.run("psk", "get", uri, key).stdout == source.read_bytes()
    assert key in json.dumps(environment.psk("ls", uri))
    environment.psk("rm", uri, key)
    environment.psk("get", uri, key, code=1)


def try_channel(environment, uri):
    """Check and measure a channel with the commands of psk-testing and psk-bench."""
    environment.psk("plugins", "check", uri)
    environment.psk("bench", uri, "--sizes", "1k,100k", "--count", "5")


def names(environment):
    """Give `kind.name -> status` of what is installed."""
    return {f"{row['kind']}.{row['name']}": row["status"] for row in environment.psk("plugins", "list")}


def test_the_core_alone(environment):
    environment.install("psk-core")
    connectors = {name for name in names(environment) if name.startswith("connector.")}
    assert connectors == {"connector.file", "connector.local", "connector.multi", "connector.shm"}
    use_channel(environment, f"file://{environment.place}/objects")
    with environment.session("shm://outside"):
        use_channel(environment, "shm://outside")
    environment.psk("put", "shm://outside", "pyvenv.cfg", code=3)  # nobody would hold it
    answer = environment.psk("put", "redis://127.0.0.1", "pyvenv.cfg", code=3)
    assert "pip install psk-connector-redis" in json.dumps(answer)
    environment.psk("sweep")
    for words in (("plugins", "check", "shm"), ("plugins", "new", "outside"), ("bench", "local://")):
        assert "pip install psk-" in environment.psk(*words, code=3)["remedy"]
    environment.install("psk-testing", "psk-bench")
    try_channel(environment, f"file://{environment.place}/objects")
    with environment.session("shm://outside"):
        try_channel(environment, "shm://outside")


USES_PATTERNS = """
from concurrent.futures import ProcessPoolExecutor
import psk, psk_patterns
if __name__ == "__main__":
    with psk.Store("outside", "shm://") as store:
        pool = ProcessPoolExecutor(1)
        with psk_patterns.StoreExecutor(pool, store, psk_patterns.ProxySize(1000)) as executor:
            task = executor.submit(sorted, list(range(5000, 0, -1)))
            assert psk.extract(task.result())[:3] == [1, 2, 3]
            del task
        promised = psk_patterns.future(store)
        promised.set_result("kept")
        assert promised.proxy() == "kept"
        promised.release()
        assert store.list() == [], store.list()
    print("works")
"""


def test_the_core_and_patterns(environment):
    environment.install("psk-patterns")
    (environment.place / "program.py").write_text(USES_PATTERNS)
    done = environment.run("python", "-I", "program.py")
    assert (done.stdout, done.stderr) == (b"works\n", b"")


def test_the_core_and_redis(environment, redis_uri):
    environment.install("psk-connector-redis", "psk-testing", "psk-bench")
    assert names(environment)["connector.redis"] == "not loaded yet"
    assert environment.psk("plugins", "show", "redis")["schemes"][0] == "redis"
    use_channel(environment, redis_uri)
    try_channel(environment, redis_uri)


def test_the_core_and_a_connector_written_elsewhere(environment, tmp_path, capsys):
    environment.install("psk-testing", "psk-bench")
    begin = time.monotonic()
    environment.psk("plugins", "new", "outside", "--directory", tmp_path)
    project = next(path.parent for path in tmp_path.glob("*/pyproject.toml"))
    environment.install(f"{project}[test]")
    tests = environment.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", project)
    seconds = time.monotonic() - begin
    assert tests.returncode == 0, tests.stdout.decode()
    assert re.search(rb"\d+ passed", tests.stdout)
    with capsys.disabled():
        # The promise is 60 s, and no test depends on how busy this machine is.
        print(f"\nfrom `psk plugins new` to a passing suite: {seconds:.1f} s")  # noqa: T201
    assert names(environment)["connector.outside"] == "not loaded yet"
    use_channel(environment, f"outside://{tmp_path}/channel.db")
    try_channel(environment, f"outside://{tmp_path}/channel.db")


@pytest.mark.parametrize("folder", DISTRIBUTIONS, ids=lambda folder: folder.name)
def test_a_distribution_is_fit_to_be_released(folder, tmp_path):
    (distribution,) = [it for it in release.distributions().values() if it.folder == folder]
    assert list(release_check.problems(release_check.build(distribution, tmp_path))) == []


def test_what_is_amiss_in_a_distribution_is_found(tmp_path):
    distribution = release.distributions()["psk-bench"]
    broken = tmp_path / "bench"
    shutil.copytree(distribution.folder, broken, ignore=shutil.ignore_patterns("__pycache__", "tests"))
    (broken / "LICENSE").write_text("none")
    (broken / "src/psk_bench/py.typed").unlink()
    project = (broken / "pyproject.toml").read_text()
    (broken / "pyproject.toml").write_text(project.replace('license = "MIT"', 'license = "BSD-2-Clause"'))
    found = list(release_check.problems(release_check.build(distribution._replace(folder=broken), tmp_path / "dist")))
    assert found == ["licence 'BSD-2-Clause'", "no py.typed", "another licence than that of the repository"]
