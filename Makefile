# Every target sets up what it needs; the first one takes a minute.
# With FULL=1, proofs of all sizes, and every test over both databases.
export FULL ?=
# The tests, and each server that they start, read what was compiled before.
export PYTHONDONTWRITEBYTECODE :=
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := $(VENV)-tools
# The later versions of Python that `make versions` runs the tests on.
VERSIONS ?= 3.12 3.13 3.14 3.15
FRAMEWORKS_PYTEST = WITH_FRAMEWORKS=1 $(VENV)-frameworks/bin/python -m pytest -m frameworks tests/frameworks tests/migrations
LOWEST_INSTALL = $(TOOLS)/bin/uv pip install --quiet --python $(VENV)-lowest/bin/python
LOWEST_PYTEST = $(VENV)-lowest/bin/python -m pytest -W default::DeprecationWarning
# The tests of a file on one processor, and the files in the order of `tests/conftest.py`.
IN_ORDER := --dist loadfile --no-loadscope-reorder
SPREAD := --numprocesses auto $(IN_ORDER)
# In CI, tests that fail run once more, by themselves: those with servers, browsers and threads share the processors
# with others, and one of many can be late. A fault fails again.
AGAIN := --last-failed --last-failed-no-failures none
# They cover all of the core. To measure that takes as long as the tests themselves, so it is done by CI or COVER=1.
COVERING := tests/core tests/verifiers tests/adapters
COVER ?= $(CI)

.PHONY: demo demo-flask quick test test-core test-rest slow frameworks versions lowest lint types bench docs reference pictures check lock clean

demo: $(VENV)/ready
	$(BIN)/python -m examples.fastapi_app

demo-flask: $(VENV)/ready
	$(BIN)/python -m examples.flask_app

# From an empty folder with README and the wheel to the first 401 and 200.
.PHONY: first-hour
first-hour: $(VENV)/ready
	PYTHONPATH=tests $(BIN)/python -m docs.first_hour README.md docs/start.md

# What needs no database, no browser and no other process.
quick: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses logical $(IN_ORDER) $(COVERING) tests/vectors $(ARGS)

# Some of the tests cannot cover all of the core, so with ARGS there is no limit for the coverage.
ifeq ($(strip $(ARGS)),)
test: test-core test-rest
else
test: $(VENV)/ready
	$(BIN)/python -m pytest $(ARGS)
endif

test-core: $(VENV)/ready
	$(BIN)/python -m pytest --numprocesses logical $(IN_ORDER) $(if $(COVER),--cov=authguard._core --cov-report=) $(COVERING) \
		$(if $(CI),|| $(BIN)/python -m pytest $(AGAIN) $(COVERING))
	$(if $(COVER),$(BIN)/coverage report --include="src/authguard/_core/*" --fail-under=100)

test-rest: $(VENV)/ready
	$(BIN)/python -m pytest $(SPREAD) $(COVERING:%=--ignore=%) \
		$(if $(CI),|| $(BIN)/python -m pytest $(AGAIN) $(COVERING:%=--ignore=%))

# A sample of each long proof; all of it with FULL=1. One of them builds the site.
slow: $(VENV)/ready $(VENV)-docs/ready
	$(BIN)/python -m pytest --numprocesses auto --dist load -m slow $(ARGS) \
		$(if $(CI),|| $(BIN)/python -m pytest -m slow $(AGAIN) $(ARGS))

# The frameworks that the guard does not know by itself, and the packages that docs/coming-from comes from. Their
# requirements must not disturb the tested versions.
frameworks: $(VENV)-frameworks/ready
	$(FRAMEWORKS_PYTEST) $(ARGS) $(if $(CI),|| $(FRAMEWORKS_PYTEST) $(AGAIN) $(ARGS))

# `make version-3.14` runs one of them.
versions: $(VERSIONS:%=version-%)

version-%:
	python=$$(tools/install-python $*) && $(MAKE) $(VENV)-$*/ready VENV=$(VENV)-$* PYTHON="$$python"
	$(VENV)-$*/bin/python -m pytest $(SPREAD) $(ARGS)

# The lowest versions that pyproject.toml allows, and the wheel as users install it. Old releases use what newer
# ones of their own requirements deprecate.
lowest: $(VENV)-lowest/ready
	rm -rf build/wheel build/command
	$(TOOLS)/bin/uv build --quiet --wheel --out-dir build/wheel .
	$(LOWEST_INSTALL) --no-deps --reinstall build/wheel/*.whl
	$(VENV)-lowest/bin/python -c "import authguard; assert 'site-packages' in authguard.__file__"
	$(LOWEST_PYTEST) $(SPREAD) $(ARGS) $(if $(CI),|| $(LOWEST_PYTEST) $(AGAIN) $(ARGS))
# The servers of the tests need a newer uvicorn than the command does.
	$(LOWEST_INSTALL) --no-deps --resolution lowest-direct --extra cli --requirement pyproject.toml --target build/command
	PYTHONPATH=$(CURDIR)/build/command $(LOWEST_PYTEST) -m "not frameworks" tests/cli/test_commands.py

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

# The site, into build/site/html; a warning or a dead link fails.
docs: $(VENV)-docs/ready
	$(VENV)-docs/bin/python -m tools.site

# The pages of docs/reference that come from the code; a test says when one of them is stale.
reference: $(VENV)/ready
	$(BIN)/python -m tools.reference

# The pictures of docs/pictures; `make pictures ARGS=floors` for one of them.
pictures: $(VENV)/ready
	$(BIN)/python -m tools.pictures $(ARGS)

check: lint types test

# Newer versions for the four files of constraints.
lock: $(TOOLS)/ready
	tools/lock $(TOOLS)/bin/uv

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
	$(VENV)-bench/bin/python -m pip install --quiet --no-deps "fastapi-users==15.0.5"
	touch $@

$(VENV)-frameworks/ready: pyproject.toml constraints.txt tests/frameworks/constraints.txt
	$(PYTHON) -m venv $(VENV)-frameworks
	$(VENV)-frameworks/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-frameworks/bin/python -m pip install --quiet --constraint constraints.txt \
		--constraint tests/frameworks/constraints.txt \
		--editable ".[starlette,fastapi,flask,django,identity,bcrypt,cli]" --group frameworks
	$(VENV)-frameworks/bin/python -m pip install --quiet --no-deps "fastapi-users==15.0.5"
# Beside the version of the group, which differs from it in how requests share a state.
	$(VENV)-frameworks/bin/python -m pip install --quiet --no-deps --upgrade \
		--target $(VENV)-frameworks/hypercorn-current "hypercorn==0.18.0"
	touch $@

$(VENV)-docs/ready: pyproject.toml constraints.txt tools/site/constraints.txt
	$(PYTHON) -m venv $(VENV)-docs
	$(VENV)-docs/bin/python -m pip install --quiet --upgrade "pip>=25.1"
	$(VENV)-docs/bin/python -m pip install --quiet --constraint constraints.txt \
		--constraint tools/site/constraints.txt --group docs
	touch $@

$(TOOLS)/ready:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet "uv>=0.9"
	touch $@

$(VENV)-lowest/ready: pyproject.toml $(TOOLS)/ready
	$(PYTHON) -m venv --without-pip $(VENV)-lowest
	$(TOOLS)/bin/uv pip compile --quiet --resolution lowest-direct --python $(VENV)-lowest/bin/python --no-header \
		--no-annotate --all-extras --group test --output-file $(VENV)-lowest/constraints.txt pyproject.toml
	$(LOWEST_INSTALL) --exact --requirement $(VENV)-lowest/constraints.txt
	touch $@

clean:
	rm -rf build $(VENV) $(VENV)-* .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage
