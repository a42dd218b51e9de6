# The two commands of the README. Each sets up all it needs in .venv/.
#   make demo [DATA=path/to/gmm_d10_K25.txt]    fit a Gaussian mixture with adcore's gradients
#   make test                                   build the wheel, install it, run every test

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SOURCES := $(shell find src python -name '*.py' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.h') CMakeLists.txt pyproject.toml

.PHONY: demo test lint types clean

$(VENV)/base: tools/environment.sh
	PYTHON="$(PYTHON)" bash tools/environment.sh $(VENV)
	touch $@

# the wheel is built in isolation and installed away from the sources
$(VENV)/installed: $(VENV)/base $(SOURCES)
	rm -rf dist && $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps dist/adcore-*.whl
	$(BIN)/python -m pip install --quiet numpy scipy matplotlib
	touch $@

$(VENV)/testing: $(VENV)/installed
	$(BIN)/python -m pip install --quiet pytest pytest-xdist pytest-cov hypothesis mpmath scikit-learn
	touch $@

demo: $(VENV)/installed
	$(BIN)/python examples/gmm_fit.py $(if $(DATA),--data $(DATA))

test: $(VENV)/testing
	$(BIN)/python -P -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/base
	$(BIN)/python -m pip install --quiet ruff cython-lint
	$(BIN)/ruff check . && $(BIN)/ruff format --check .
	PATH="$(CURDIR)/$(BIN):$$PATH" cython-lint src

types: $(VENV)/testing
	$(BIN)/python -m pip install --quiet mypy
	$(BIN)/mypy --strict python/adcore

clean:
	rm -rf $(VENV) build dist
