# Everything goes through .venv, which `env` makes; see `make help`.
PYTHON ?= python3
BIN := .venv/bin
# Several processes share the cores: one thread each.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.DEFAULT_GOAL := help
.PHONY: help env demo demo-cp2 test test-configs lint format bench

help:  ## list these targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | \
	  awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

env:  ## make .venv: pinned versions, mmcv's operators compiled, mmcp editable
	@$(PYTHON) tools/dev/setup_env.py

demo: env  ## train, evaluate and report on the built-in sample (8 minutes)
	$(BIN)/python tools/demo.py

demo-cp2: env  ## pretrain with CP2 on the built-in sample, report (4 minutes)
	$(BIN)/python tools/demo_cp2.py

test: env  ## run the tests on two processes
	$(TEST) -n 2 --dist loadgroup

test-configs: env  ## train every config for two steps, reduced (resumable)
	$(BIN)/python tools/dev/test_configs.py

lint: env  ## check style, types, spelling, docstrings and configs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy mmcp
	$(BIN)/codespell
	$(BIN)/python tools/dev/check_docstring_defaults.py
	$(BIN)/python tools/dev/check_configs.py

format: env  ## format the code and sort the imports
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: env  ## measure Copy-Paste against MMDetection's on this machine
	$(BIN)/python benchmarks/copy_paste.py
