# Two commands are all a new user needs: `make demo` and `make test`. Both set everything up first.
# uv is used when it is there, plain pip when not; python3-venv may be absent.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
MUTMUT := mutmut==3.8.1
MUTATED := energyctl drivers optimizer hil sites tests

# The tests start many processes; with compiled modules kept they start four times faster.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test interop scenarios negative torture mutants lint check bench lock clean setup

demo: setup
	@$(BIN)/energyctl demo

test: setup
	@$(BIN)/python -m pytest -n 4 --dist loadfile

# Other people's clients against the simulated devices; installs the clients (Debian packages as root, npm's in build/interop).
interop: setup
	@tests/interop/install.sh build/interop
	@$(BIN)/python -m pytest tests/interop

# Every scenario that ships, judged: what the daemon does when things go wrong. Some minutes.
scenarios: setup
	@mkdir -p build
	@$(BIN)/energyctl hil test sites/larissa/town-hall.yaml --junit build/scenarios.xml

# Every check and every kind of fault goes red for a planted defect of the daemon, and is green without; some ten minutes.
negative: setup
	@$(BIN)/python -m hil.testing.negative

# The tests of the matrix's rows at their full counts, hours for all of them: make torture ROWS="35 36", TORTURE_<row>=N.
torture: setup
	@$(BIN)/python -m tests.torture_table $(ROWS)

# Small changes to the code that decides on writes and alarms, one at a time: at least 90 % have to turn a test red. Some
# minutes; in a copy of the tree, with an environment of its own.
mutants:
	@mkdir -p build/mutants
	@cd build/mutants && rm -rf mutants $(MUTATED)
	@cp -pR $(MUTATED) Makefile pyproject.toml README.md LICENSE requirements.lock requirements-boot.lock build/mutants
	@$(MAKE) -s -C build/mutants setup
	@cd build/mutants && if command -v uv >/dev/null 2>&1; then VIRTUAL_ENV=$(VENV) uv pip install -q $(MUTMUT); \
	  else $(BIN)/python -m pip install -q --disable-pip-version-check $(MUTMUT); fi
	@cd build/mutants && TORTURE_35=1000 $(BIN)/mutmut run --max-children 2 >log 2>&1 || { tail -n 30 log; exit 1; }
	@cd build/mutants && $(BIN)/mutmut results --all true | awk -F '[.:] *' ' \
	  NF < 4 { next } \
	  { all[$$3]++; n++ } \
	  $$NF == "killed" || $$NF == "timeout" { killed[$$3]++; k++; next } \
	  { print } \
	  END { for (m in all) printf "%-12s %4d of %4d killed\n", m, killed[m], all[m]; \
	        printf "%-12s %4d of %4d killed, %.1f %%\n", "all", k, n, 100 * k / n; exit n == 0 || k < 0.9 * n }'

lint: setup
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

check: lint test

bench: setup
	@for file in benchmarks/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

setup: $(READY)

$(READY): requirements.lock requirements-boot.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "energyctl needs Python 3.11 or newer; try make PYTHON=python3.11"; exit 1; }
	@echo "setting up $(VENV) (once)"
	@if command -v uv >/dev/null 2>&1; then \
	  uv venv -q --clear --python "$$(command -v $(PYTHON))" $(VENV) && \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --require-hashes -r requirements.lock && \
	  VIRTUAL_ENV=$(VENV) uv pip install -q --no-deps --no-build-isolation -e . ; \
	else \
	  rm -rf $(VENV); \
	  { $(PYTHON) -c 'import venv, ensurepip' 2>/dev/null && $(PYTHON) -m venv $(VENV) ; } || \
	  { $(PYTHON) -m pip install -q --disable-pip-version-check --target .boot --require-hashes -r requirements-boot.lock && \
	    PYTHONPATH=.boot $(PYTHON) -m virtualenv -q $(VENV) ; } && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e . ; \
	fi
	@touch $(READY)

# Needs uv. No index address is written into the lock files.
lock:
	uv pip compile -q pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements.lock
	echo virtualenv | uv pip compile -q - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements-boot.lock

clean:
	rm -rf $(VENV) .boot dist build .mypy_cache .ruff_cache .pytest_cache
