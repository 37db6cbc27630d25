# Every target sets up what it needs; the first one takes a minute.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-flask test lint types bench check clean

demo: $(VENV)/ready
	$(BIN)/python -m examples.fastapi_app

demo-flask: $(VENV)/ready
	$(BIN)/python -m examples.flask_app

test: $(VENV)/ready
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(ARGS)
	$(BIN)/coverage report --include="src/authguard/_core/*" --fail-under=100

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/ready
	$(BIN)/mypy
	$(BIN)/pyright

bench: $(VENV)/ready
	$(BIN)/python -m benchmarks

check: lint types test

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
