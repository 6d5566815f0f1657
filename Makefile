# Every command sets itself up: a virtual environment in .venv, the compiled core in it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
NATIVE := $(wildcard native/*) CMakeLists.txt pyproject.toml constraints.txt

.PHONY: help demo test fuzz sanitize wheel-test bench regret figures clean
help:
	@echo "make demo   filter a photograph, print the plan and the times, write a panel"
	@echo "make test   run the tests (arguments: make test ARGS='-k boundary -x')"
	@echo "make fuzz   random problems through every method (arguments: make fuzz MINUTES=5)"
	@echo "make sanitize  the native tests under Address-, UndefinedBehavior- and ThreadSanitizer"
	@echo "make wheel-test  build a wheel and try it where there is no compiler"
	@echo "make bench  time corr2d against OpenCV (arguments: make bench ARGS='--suite core')"
	@echo "make regret how often the planner chooses the fastest method, on random work"
	@echo "make figures  measure and draw docs/speed.svg and docs/roofline.svg"
	@echo "make clean  remove the environment and everything built"

demo: $(VENV)/.user
	$(BIN)/corr2d demo

test: $(VENV)/.developer
	$(BIN)/python -m pytest $(ARGS)

fuzz: $(VENV)/.developer
	$(BIN)/python tests/fuzz.py --minutes $(or $(MINUTES),5) $(ARGS)

sanitize: $(VENV)/.developer
	$(BIN)/python tests/sanitize.py $(ARGS)

wheel-test: $(BIN)/python
	$(BIN)/python tests/wheel.py

bench: $(VENV)/.developer
	$(BIN)/python benchmarks/bench.py $(ARGS)

regret: $(VENV)/.developer
	$(BIN)/python benchmarks/regret.py $(ARGS)

figures: $(VENV)/.developer
	$(BIN)/python benchmarks/figures.py --out docs $(ARGS)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "corr2d needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

# What a user installs.
$(VENV)/.user: $(BIN)/python $(NATIVE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[images]'
	@touch $@

# torch first and pinned: the range alone would fetch gigabytes of CUDA.
$(VENV)/.developer: $(BIN)/python $(NATIVE)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,test,bench,plot]'
	@touch $@ $(VENV)/.user

clean:
	rm -rf $(VENV) build dist .pytest_cache .hypothesis
