# `make run` needs nothing but Python; everything else installs what it needs into .venv and .cache.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := streamer tests bench proto docs

.PHONY: install run test test-lnd kills-lnd check crash-points prove prove-lnd prove-quarter mutate mutation-score simulate format proto docs picture bench clean

install: .venv/dev

.venv/run: pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/dev: .venv/run
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv/mutation: .venv/dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,mutation]'
	touch $@

run: .venv/run
	$(BIN)/streamer demo

test: .venv/dev
	$(BIN)/pytest -m 'not lnd' --numprocesses 2 --dist worksteal

test-lnd: .venv/dev
	$(BIN)/pytest -m lnd tests/lnd tests/contract

kills-lnd: .venv/dev
	$(BIN)/pytest -s tests/lnd/test_kills.py

check: .venv/dev
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python proto/generate.py --check
	$(BIN)/python proto/check.py
	$(BIN)/python docs/generate.py --check
	$(MAKE) test

crash-points: .venv/dev
	STREAMER_ALL_CRASH_PAIRS=1 $(BIN)/pytest tests/simulation/test_crash_points.py tests/simulation/test_crash_points_of_invoices.py

prove: .venv/dev
	$(BIN)/python -m tests.prove

prove-quarter: .venv/dev
	$(BIN)/python -m tests.prove --lnd --quarter

prove-lnd: .venv/dev
	$(BIN)/python -m tests.prove --lnd

mutate: .venv/dev
	$(BIN)/python -m tests.mutations

mutation-score: .venv/mutation
	nice -n 19 $(BIN)/python -m tests.mutations.score $(if $(AGAIN),--again)

simulate: .venv/dev
	$(BIN)/python -m tests.simulation.simulate --seed $(or $(SEED),1) $(if $(DAYS),--days $(DAYS)) --runs $(or $(RUNS),1)

format: .venv/dev
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

proto: .venv/dev
	$(BIN)/python proto/generate.py

docs: .venv/dev
	$(BIN)/python docs/generate.py

picture: .venv/dev
	$(BIN)/python docs/record.py

bench: .venv/dev
	$(BIN)/python bench/pipeline.py

clean:
	rm -rf .venv .cache
