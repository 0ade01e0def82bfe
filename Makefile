# Each target does all its own set-up in .venv: a bare machine with Python 3.11, make and gcc is enough.
#   make demo    watch a residual network compress itself while it learns to read digits (writes to demo/)
#   make test    the whole test suite; ARGS are passed on, as in `make test ARGS="-k concat"`
#   make fuzz    prune many random networks and compare: N of them, the first with SEED
#   make check   ruff, strict type checking, and the documentation's pages without a warning
#   make docs    the documentation as a site in site/
#   make format  let ruff rewrite what it can
# The set-up runs again when pyproject.toml or constraints.txt change, or the checkout moves.

PYTHON ?= $(shell for python in python3.11 python3; do \
	$$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
JOBS ?= 2

VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check install --constraint constraints.txt
STAMP := $(VENV)/ready-$(shell (pwd -P; cat pyproject.toml constraints.txt) | cksum | tr ' ' '-')
CODE := $(wildcard scfx tests examples benchmarks docs)
# Material's advice to go elsewhere is no warning of ours.
SITE := NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict

.DEFAULT_GOAL := help
.PHONY: help demo test fuzz check browser docs format clean

help:
	@sed -n '2,7s/^# *//p' Makefile

demo: $(STAMP)
	@$(PY) -m scfx demo $(ARGS)

test: $(STAMP)
	@$(PY) -m pytest -n $(JOBS) $(ARGS)

fuzz: $(STAMP)
	@$(PY) -m tests.fuzz $(or $(N),1000) --jobs $(JOBS) $(if $(SEED),--seed $(SEED)) $(ARGS)

check: $(STAMP)
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy $(CODE)
	@$(SITE)

# A test drives the page of a channel graph in Chromium, if there is one: here Debian's, where that can be installed.
browser:
	@command -v chromium chromium-browser google-chrome >/dev/null || { \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium; } >/dev/null

docs: $(STAMP)
	@$(SITE)

format: $(STAMP)
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

clean:
	rm -rf $(VENV) build dist demo site scfx.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis

# An environment that cannot run pip (half made, or its Python gone) is made anew; any other is completed.
$(STAMP):
	@echo "Setting up $(VENV) (once; torch is the large part) ..."
	@$(PY) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv was found: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }; \
		$(PYTHON) -m venv --clear $(VENV); }
	@$(PIP) setuptools
	@$(PIP) --no-build-isolation --editable '.[dev]'
	@rm -f $(VENV)/ready-*
	@touch $@
