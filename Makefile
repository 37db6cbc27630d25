# Every target sets up what it needs; the first one takes a minute.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo demo-flask test slow frameworks lint types bench check clean

demo: $(VENV)/ready
	$(BIN)/python -m examples.fastapi_app

demo-flask: $(VENV)/ready
	$(BIN)/python -m examples.flask_app

test: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --cov=authguard._core --cov-report= $(ARGS)
	$(BIN)/coverage report --include="src/authguard/_core/*" --fail-under=100

slow: $(VENV)/ready
	$(BIN)/python -m pytest -m slow $(ARGS)

# The frameworks that the guard does not know by itself, whose requirements must not disturb the tested versions.
frameworks: $(VENV)-frameworks/ready
	AUTHGUARD_FRAMEWORKS=1 $(VENV)-frameworks/bin/python -m pytest tests/frameworks $(ARGS)

lint: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/ready
	$(BIN)/mypy
	$(BIN)/pyright

# The rivals' requirements must not disturb the tested versions, so they have an environment of their own.
bench: $(VENV)-bench/ready
	$(VENV)-bench/bin/python -m benchmarks $(ARGS)

check: lint types test

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all]" --group dev
	touch $@

$(VENV)-bench/ready: pyproject.toml constraints.txt benchmarks/constraints.txt
	$(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-bench/bin/python -m pip install --quiet --constraint constraints.txt \
		--constraint benchmarks/constraints.txt --editable ".[all]" --group bench
	$(VENV)-bench/bin/python -m pip install --quiet --constraint benchmarks/constraints.txt --no-deps fastapi-users
	touch $@

$(VENV)-frameworks/ready: pyproject.toml constraints.txt tests/frameworks/constraints.txt
	$(PYTHON) -m venv $(VENV)-frameworks
	$(VENV)-frameworks/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-frameworks/bin/python -m pip install --quiet --constraint constraints.txt \
		--constraint tests/frameworks/constraints.txt --editable ".[starlette,fastapi,flask]" --group frameworks
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-bench $(VENV)-frameworks .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
