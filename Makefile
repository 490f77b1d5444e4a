# Two commands do everything: `make drill` and `make test`. Both install what they need, once.
# The venv is remade when the lock changes; system packages are asked for only when one is missing.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Most fast tests wait for something, so one more of them than there are cores; a file's tests stay together. Of those
# with labs, browsers and loads three run at a time; what measures times has the machine to itself.
JOBS   := $(shell expr $$(nproc 2>/dev/null || echo 1) + 1)
FAST   := $(BIN)/pytest -n $(JOBS) --dist loadfile -m "not lab and not browser and not slow"
LABS   := $(BIN)/pytest -n 3 --dist loadfile -m "(lab or browser or slow) and not alone"
# What failed beside other tests gets one more chance, alone and told of: a busy machine is not a defect.
AGAIN  := { test $$? -eq 1 && echo "Failed; once more, each of them alone:" && \
	$(BIN)/pytest -v --last-failed --last-failed-no-failures none; }
PEERS  := tests/interop/node_modules/.installed
PIPECAT := tests/interop/.pipecat

.PHONY: drill test test-fast check lint fix lock setup clean

drill: setup
	$(BIN)/calldrill run $(DRILL) $(ARGS)

test: setup check
	@sh setup/system-packages.sh test
	@command -v npm >/dev/null && $(MAKE) --no-print-directory $(PEERS) || true
	@$(MAKE) --no-print-directory $(PIPECAT)/.installed || true
	$(FAST) $(ARGS) || $(AGAIN)
	$(LABS) $(ARGS) || $(AGAIN)
	$(BIN)/pytest -m alone $(ARGS) || $(AGAIN)

# Peers for the tests that come from npm; without them those tests say so and are skipped.
$(PEERS): tests/interop/package-lock.json
	npm ci --prefix tests/interop --no-audit --no-fund --silent
	@touch $@

# A real Pipecat, in an environment of its own; its locked versions come from `uv pip compile` of the .in beside them.
$(PIPECAT)/.installed: tests/interop/pipecat.lock
	$(PYTHON) -m venv $(PIPECAT)
	$(PIPECAT)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

test-fast: setup
	$(FAST) $(ARGS)

check: lint
	$(BIN)/mypy
	$(BIN)/lint-imports

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fix: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

setup: $(STAMP)
	@sh setup/system-packages.sh

# The stamp is written last, so an interrupted installation is done again.
$(STAMP): requirements.lock pyproject.toml
	@sh setup/system-packages.sh
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# Needs uv; names no registry host, so any mirror serves.
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --no-annotate --group dev --all-extras pyproject.toml -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
