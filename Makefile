# Everything a reader or a contributor types. `make` alone explains the targets.
# Needs Python 3.11 or newer and make; the rest is installed into $(VENV) once. The folder of the
# checkout may have spaces in its name; $(VENV), which is a target, may not.

PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
PROFILE ?= standard
NOTEBOOKS ?=
TEST_PROFILE ?= quick
OFFLINE ?= 1
CELL_TIMEOUT ?= 300
PIP_OPTIONS ?=

BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
SITE := _build/html
MADE := build/notebooks
# What scripts may do with torch's untyped attributes; names that are gone are still found.
LOOSE := union-attr operator arg-type call-overload index dict-item

# Notebooks run in book/, so a relative folder must be made absolute.
ifneq ($(GANLAB_DATA),)
export GANLAB_DATA := $(or $(shell cd "$(GANLAB_DATA)" 2>/dev/null && pwd),$(GANLAB_DATA))
endif

# No test touches the network: pip finds no index, data sets are local files or drawn glyphs.
TEST_ENV := PIP_NO_INDEX=1 GANLAB_OFFLINE="$(OFFLINE)" GANLAB_PROFILE="$(TEST_PROFILE)" OMP_NUM_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help book test lint types unit notebooks guard lab execute bench classroom address results \
	site-test release setup clean distclean

help:
	@echo "GANs that run: a course you can read, run and test."
	@echo
	@echo "  make book       build the site (sets everything up on the first call)"
	@echo "  make lab        open the chapters in JupyterLab, as copies in my-notebooks"
	@echo "  make test       style, types, unit tests, and every notebook at quick profile;"
	@echo "                  one of them: make lint, types, unit, notebooks"
	@echo
	@echo "  make execute    run the notebooks in place and stamp them"
	@echo "                  PROFILE=quick|standard|full  NOTEBOOKS=\"book/03_first_gan.ipynb\""
	@echo "  make bench      measure speed against the usual loop; ARGS=\"--case mlp\""
	@echo "  make classroom  write the notebooks that people open, in three sets (to read, for"
	@echo "                  students, solved), to $(MADE)"
	@echo "  make site-test  open every built page in headless Chromium"
	@echo "  make results    write the pages of results from what is stored"
	@echo "  make address    write [tool.ganlab] of pyproject.toml into links and badges"
	@echo "  make release    write wheel, sdist, bill of materials and checksums to dist"
	@echo "  make setup      only install, into $(VENV) (7 GB; 2 GB with PyTorch for the CPU only:"
	@echo "                  PIP_OPTIONS=\"--extra-index-url https://download.pytorch.org/whl/cpu\")"
	@echo "  make clean      remove what was built; 'make distclean' removes $(VENV) too"
	@echo
	@echo "Real pictures: set GANLAB_DATA to a folder of data sets, or let the notebooks download"
	@echo "them. Without either, the course runs on glyphs that it draws itself."
	@echo "Options: PYTHON=$(PYTHON) VENV=$(VENV) WORKERS=$(WORKERS) PIP_OPTIONS=$(PIP_OPTIONS)"

# ---- set-up: once, again only when pyproject.toml changes ----

setup: $(READY)

$(READY): pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "This course needs Python 3.11 or newer; name one: make PYTHON=python3.12"; exit 2; }
	@test -x "$(PY)" || "$(PYTHON)" -m venv "$(VENV)" || \
		{ echo "No venv module: on Debian or Ubuntu, apt install python3-venv"; exit 2; }
	@echo "Installing into $(VENV) (once, a few minutes)"
	@"$(PY)" -m pip install -q $(PIP_OPTIONS) "setuptools>=77.0.3" wheel
	@"$(PY)" -m pip install -q $(PIP_OPTIONS) --no-build-isolation -e ".[book,test]"
	@touch "$@"

# ---- the site ----

book: $(READY)
	@rm -rf "$(SITE)"
	"$(BIN)"/jupyter-book build . -n -W --keep-going -q
	@echo
	@echo "BOOK BUILT. Open $(CURDIR)/$(SITE)/index.html"

site-test: $(READY)
	@test -f "$(SITE)"/index.html || { echo "No site yet: make book"; exit 2; }
	@if command -v npm >/dev/null && ! test -d tests/browser/node_modules; then \
		npm ci --prefix tests/browser --no-audit --no-fund --silent || \
		echo "npm could not install playwright-core: the browser tests will be skipped"; fi
	"$(PY)" -m pytest tests/test_site.py -rs

# ---- tests ----

test: lint types unit notebooks
	@echo
	@echo "ALL TESTS PASSED"

lint: $(READY)
	@"$(BIN)"/ruff check .
	@"$(BIN)"/ruff format --check .

types: $(READY)
	@"$(BIN)"/mypy
	@MYPYPATH=benchmarks:book/tools "$(BIN)"/mypy ganlab benchmarks/*.py book/tools/*.py \
		$(addprefix --disable-error-code=,$(LOOSE))

unit: $(READY) guard
	@$(TEST_ENV) "$(PY)" -m pytest tests -n "$(WORKERS)" --ignore=tests/test_site.py

# What people open is run: it holds all code of the sources but the solutions, which the unit tests
# run, and its outputs (tests/test_plain_markdown.py).
notebooks: $(READY) guard
	@"$(PY)" book/tools/variants.py "$(MADE)" > /dev/null
	@$(TEST_ENV) "$(PY)" -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout="$(CELL_TIMEOUT)" \
		--nbval-sanitize-with=tests/nbval.cfg -n "$(WORKERS)" --dist loadscope \
		"$(MADE)/read"

# The notebooks must test this checkout, not a published ganlab.
guard: $(READY)
	@cd book && "$(abspath $(PY))" -c 'import ganlab, pathlib, sys; \
	here = pathlib.Path(ganlab.__file__).resolve().parents[1]; \
	sys.exit(here != pathlib.Path.cwd().parent and f"{here} is tested, not this checkout")'

# ---- the rest ----

# Copies, so that what a reader changes is neither lost nor taken for the course's own.
lab: $(READY)
	@"$(PY)" book/tools/variants.py "$(MADE)" > /dev/null
	@mkdir -p my-notebooks
	@for each in "$(MADE)"/read/*.ipynb; do \
		test -e "my-notebooks/$${each##*/}" || cp "$$each" my-notebooks/; done
	@echo "Your copies are in my-notebooks. Delete one to get it new; the sources are in book."
	"$(PY)" -m jupyter lab --notebook-dir=my-notebooks

execute: $(READY)
	"$(PY)" book/tools/execute.py --profile "$(PROFILE)" $(NOTEBOOKS)

bench: $(READY)
	"$(PY)" benchmarks/throughput.py $(ARGS)

classroom: $(READY)
	"$(PY)" book/tools/variants.py "$(MADE)"

address: $(READY)
	"$(PY)" book/tools/address.py
	@# The branch stands in the first cell by itself, where no pattern finds it.
	"$(PY)" book/tools/first_cell.py book/*.ipynb

results: $(READY)
	"$(PY)" book/tools/results_page.py
	"$(PY)" book/tools/reliability_page.py
	"$(PY)" book/tools/instructor_page.py

release: $(READY)
	"$(PY)" book/tools/release.py dist

clean:
	rm -rf _build book/_build build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf "$(VENV)"
