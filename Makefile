# Everything a fresh machine needs is Python 3.11 and make; the rest is installed into .venv by the first target that needs it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
READY := $(VENV)/.ready
BENCH := .bench
BENCH_RAY := .bench-ray
# The CPU build of torch, which only pip finds where its wheel lies at hand; the one on PyPI brings gigabytes of CUDA.
TORCH ?= torch==2.13.0+cpu
PACKAGES := core $(wildcard packages/*)

.PHONY: help setup demo test soak bench lint format servers release-check clean

help:
	@echo "make demo     run the main job, by value and by proxy, and compare"
	@echo "make test     run every test at the counts of CI; DIST=connector-redis runs those of one distribution"
	@echo "make soak     run every test at full counts"
	@echo "make bench    measure psk beside ProxyStore 1.1, Ray and redis-py; draw the README's chart and table"
	@echo "make lint     ruff, mypy --strict, import contracts"
	@echo "make release-check  build and install every distribution, and check what it says about itself"
	@echo "make servers  install the servers that tests need"

setup: $(READY)

$(UV):
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(READY): $(UV) pyproject.toml $(wildcard */pyproject.toml packages/*/pyproject.toml)
	$(UV) pip install --quiet --python $(VENV) --group dev $(foreach package,$(PACKAGES),--editable $(package))
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --only-binary :all: "$(TORCH)" 2>$(VENV)/no-torch.txt \
		&& rm -f $(VENV)/no-torch.txt \
		|| { echo "torch is not installed, so its tests are skipped:"; tail -n 1 $(VENV)/no-torch.txt; }
	@touch $@

demo: setup
	$(BIN)/python examples/demo.py

test: setup
	PSK_SCALE=test $(BIN)/python .ci/tests.py $(DIST)

soak: setup
	PSK_SCALE=soak PSK_EVIDENCE=docs/evidence/soak.txt $(BIN)/pytest -o timeout=3600

$(BENCH)/.ready: $(UV) Makefile
	$(UV) venv --quiet --clear --python $(BIN)/python $(BENCH)
	$(UV) pip install --quiet --python $(BENCH) --compile-bytecode "proxystore==1.1.*" numpy "redis[hiredis]>=8,<9"
	@touch $@

# Ray brings 270 MB and pins of its own, so it has an environment to itself, and is left out where it cannot be installed.
$(BENCH_RAY)/.ready: $(UV) Makefile
	$(UV) venv --quiet --clear --python $(BIN)/python $(BENCH_RAY)
	@$(UV) pip install --quiet --python $(BENCH_RAY) --compile-bytecode "ray==2.60.0" numpy 2>$(BENCH_RAY)/no-ray.txt \
		&& rm -f $(BENCH_RAY)/no-ray.txt && touch $@ \
		|| { echo "Ray is not installed, so it is not measured:"; cat $(BENCH_RAY)/no-ray.txt; }

# psk is installed as users have it. The sources of the workspace would make it editable, and change what an import costs.
bench: $(BENCH)/.ready $(BENCH_RAY)/.ready
	$(UV) pip install --quiet --python $(BENCH) --compile-bytecode --no-sources --reinstall-package psk-core \
		--reinstall-package psk-connector-redis --reinstall-package psk-patterns \
		./core ./packages/connector-redis ./packages/patterns
	$(BENCH)/bin/python benchmarks/run.py $(TOPICS)

lint: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy core/src $(wildcard packages/*/src)
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Redis, and the library that moves a process's clock, come from the distribution's own packages where root can install
# them; a real Valkey comes as a wheel with the tests.
servers:
	@if command -v redis-server >/dev/null && ls /usr/lib/*/faketime/libfaketime.so.1 >/dev/null 2>&1; then \
		echo "redis-server: $$(redis-server --version)"; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq redis-server openssl libfaketime; \
	else echo "redis-server or libfaketime is missing, and only root can install them with apt-get:" \
		"tests that need them are skipped"; fi

release-check: setup
	$(BIN)/python .ci/release_check.py

clean:
	rm -rf $(VENV) $(BENCH) $(BENCH_RAY) .tox .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
