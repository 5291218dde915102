# What CI runs, anyone can run: `make test`.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DEMO := .venv/installed-for-demo
PEERS := .bench-venv/installed
DATA ?=

.PHONY: env demo rights unit unit-modules unit-properties test test-parts test-whole fuzz rounds upgrade growth lint format bench lock manifests image train

env: $(INSTALLED)

# The tests start hundreds of processes: each would compile all that it imports, where this variable is set.
unexport PYTHONDONTWRITEBYTECODE

# What is installed once, and again when its lock or the project's own description changes. uv, itself taken by its hash,
# installs five times as fast as pip; pip is the way on where only pip is told of a mirror or a certificate.
define install
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Netcenter needs Python 3.11 or newer, $(PYTHON) is %d.%d: make PYTHON=python3.12 $(or $(MAKECMDGOALS),env)" % sys.version_info[:2])'
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	sed -n '/^uv==/,/^[^ ]/p' requirements/dev.lock | grep -E '^uv==|--hash=' > .venv/uv.lock
	$(BIN)/pip install --quiet --require-hashes -r .venv/uv.lock
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r $(1) \
	    || $(BIN)/pip install --quiet --require-hashes -r $(1)
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@
endef

$(INSTALLED): requirements/dev.lock pyproject.toml
	$(call install,requirements/dev.lock)

# The demo needs two fifths of what the tests need; `make env` adds the rest to it.
$(DEMO): requirements/demo.lock pyproject.toml
	$(call install,requirements/demo.lock)

demo: $(if $(wildcard $(INSTALLED)),$(INSTALLED),$(DEMO))
	$(BIN)/netcenter demo

# The fast loop: every test that needs no server, in two processes.
unit: env
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target unit-modules unit-properties

unit-modules: env
	$(BIN)/python -m pytest -q tests/unit

unit-properties: env
	$(BIN)/python -m pytest -q tests/property tests/contract

# Every test, in two processes, because most of the time is waiting: the single parts, and the system as a whole.
test: env lint
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-parts test-whole

test-parts: env
	$(BIN)/python -m pytest -q tests/unit tests/property tests/contract tests/streams

test-whole: env
	$(BIN)/python -m pytest -q tests --ignore=tests/unit --ignore=tests/property --ignore=tests/contract --ignore=tests/streams

# 20,000 good records among 20,000 bad ones through every role; `make test` has 1,000 of each. And 20 times the examples of
# each property.
fuzz: env
	NETCENTER_EXAMPLES=20 $(BIN)/python -m pytest -q --timeout=3600 tests/property
	NETCENTER_FUZZ=20000 $(BIN)/python -m pytest -q tests/chaos/test_fuzz.py

# The whole story of the demo as it is, and over SASL_SSL with the authorizer and a user for each role: one summary.
rights: env
	$(BIN)/python -m pytest -q --timeout=900 tests/scenarios/story_as_own_users.py

# 200 rounds of two or three policy commands at once, and of killed ones; `make test` has 5.
rounds: env
	NETCENTER_POLICY_ROUNDS=200 $(BIN)/python -m pytest -q -s --timeout=3600 tests/chaos/test_policy_rounds.py

# A rolling upgrade and a rollback at 1,000 posts a second, and how long each role was away; `make test` has a short one.
upgrade: env
	$(BIN)/python -m pytest -q -s tests/scenarios/rolling_upgrade.py

# docs/growth.md on the wall clock, with a gateway that goes on receiving: how long each step takes.
growth: env
	$(BIN)/python -m pytest -q -s tests/scenarios/wall_clock_growth.py

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/netcenter schemas check

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(PEERS)
	$(BIN)/python -m bench

# In an environment of their own: the peers' wishes bend nothing that Netcenter runs on.
$(PEERS): requirements/bench.lock $(INSTALLED)
	test -x .bench-venv/bin/python || $(PYTHON) -m venv --clear .bench-venv
	$(BIN)/uv pip install --quiet --python .bench-venv/bin/python --require-hashes -r requirements/bench.lock \
	    || .bench-venv/bin/pip install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

lock: env
	requirements/lock.sh

manifests: env
	$(BIN)/python -m netcenter.tools.manifests

# make image BASE=python:3.11-slim@sha256:…: the image, its bill of materials and its licences.
image:
	deploy/image/build.sh

# make train DATA=folder: a new classifier's artefact from labelled*.parquet and the texts of training.parquet and unlabelled2.parquet.
train: env
	@test -n "$(DATA)" || { echo "make train DATA=folder, the one with labelled.parquet and training.parquet, and the same of the new sources" >&2; exit 2; }
	$(BIN)/netcenter train "$(DATA)"/labelled*.parquet --unlabelled "$(DATA)/training.parquet" --unlabelled "$(DATA)/unlabelled2.parquet" --out agents/classify/artefacts
