# A fresh clone needs nothing but `make demo` or `make test`: the environment builds itself in .venv.
# PYTHON=/path/to/python chooses the interpreter, ARGS="..." goes on to the program that a target runs.

VENV := .venv
PY := $(VENV)/bin/python
JOBS ?= auto
ARGS ?=

# Compiled code stays in the project, never in the user's own caches.
export PYTENSOR_FLAGS := $(PYTENSOR_FLAGS),base_compiledir=$(CURDIR)/.cache/pytensor
export NUMBA_CACHE_DIR := $(CURDIR)/.cache/numba

.DEFAULT_GOAL := help
.PHONY: demo test test-slow soak support rewrites lint format types bench clean help
.DELETE_ON_ERROR:

demo: $(VENV)/.dev ## train a sparse model on real text (ARGS="--help" for the options)
	$(PY) -m symsparse demo $(ARGS)

test: $(VENV)/.dev ## all tests but the slow ones, and every example in docstrings, README and docs
	$(PY) -m pytest -m "not slow" -n $(JOBS) --maxprocesses 8 --dist worksteal $(ARGS)

test-slow: $(VENV)/.dev ## the slow tests
	$(PY) -m pytest -m slow -n $(JOBS) --maxprocesses 8 --dist worksteal $(ARGS)

soak: $(VENV)/.dev ## half an hour of random expressions, compiled against the reference (ARGS="--minutes 2")
	$(PY) -W error -m tests.soak --minutes 30 $(ARGS)

support: $(VENV)/.dev ## run every test of the op table, and write docs/support.md from what passed
	$(PY) -m pytest -p tests.support tests/ops/test_table.py tests/ops/test_higher_order.py tests/backends/test_c.py \
	    -n $(JOBS) --maxprocesses 8 --dist worksteal $(ARGS)

rewrites: $(VENV)/.dev ## write docs/rewrites.md from the docstrings of the rewrites
	$(PY) -m tests.rewrites.page

lint: $(VENV)/.dev ## style and formatting
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

format: $(VENV)/.dev ## mend style and formatting
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

types: $(VENV)/.dev ## static types
	$(PY) -m mypy

bench: $(VENV)/.bench ## time symsparse beside its peers, which take 8 GB (ARGS="--quick", ARGS="--help")
	$(PY) -m benchmarks $(ARGS)

clean: ## back to a fresh clone
	rm -rf $(VENV) .cache .hypothesis demo-output dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# One stamp per extra; an environment that cannot start (moved, half made) is made anew.
$(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml
	@$(PY) -c 'import pip' 2>/dev/null || { \
	    python=$$(sh .ci/find-python) && echo "making $(VENV) with $$python" && "$$python" -m venv --clear $(VENV); }
	$(PY) -m pip install --quiet --disable-pip-version-check --editable '.[$*]'
	@touch $@
