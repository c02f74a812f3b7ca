# The commands of the README. Everything is installed into .venv; nothing outside this folder is changed.

PYTHON ?= python3
TACTIC := prune-without-retraining
JOBS ?= 2
DATA_DIR ?=
MEASURE ?= if-needed
ARGS ?=
WITHIN ?=
OUT_DIR ?= build/results

STAMP := .venv/.installed
RUN := .venv/bin/python -m
NO_WARNING := NO_MKDOCS_2_WARNING=1

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help requirements install demo demo-full accelerator smoke site serve test check benchmark clean

help:
	@echo "make demo    measure one tactic on this machine, build the site with the result, print the verdict;"
	@echo "             no data needed; MEASURE=again, JOBS=1 (slower; times undisturbed)"
	@echo "make demo-full  the same with a larger network, on Fashion-MNIST: DATA_DIR=folder with fashion-mnist/"
	@echo "make accelerator  measure recipes on a CUDA accelerator, in order of worth, into OUT_DIR; goes on where it"
	@echo "             stopped; WITHIN=8m, DATA_DIR=folder, OUT_DIR=folder, PYTHON=one with a PyTorch for CUDA"
	@echo "make smoke   measure every recipe in its smallest settings into build/smoke; no data; 12 minutes"
	@echo "make install set up .venv with all that the other commands need; they do so by themselves, too"
	@echo "make site    build the site into site/; SITE_URL=https://your.host/path/ for absolute addresses"
	@echo "make serve   show the site with live reload"
	@echo "make test    run all tests; ARGS='-k runner' runs some"
	@echo "make check   ruff, mypy, the plan of imports, greentactics check"
	@echo "make benchmark  what the project itself costs, against its limits; nothing else should run"
	@echo "make clean   remove the site, the results of this machine and caches"

requirements:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "$(PYTHON) is missing. Debian, Ubuntu: sudo apt install python3 python3-venv" >&2; \
	  echo "Another interpreter: make demo PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
	  echo "Debian 12, Ubuntu 24.04 or newer have it: sudo apt install python3 python3-venv" >&2; \
	  echo "Another interpreter: make demo PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing. Debian, Ubuntu: sudo apt install python3-venv" >&2; exit 1; }
	@command -v git >/dev/null 2>&1 || { \
	  echo "git is missing. Debian, Ubuntu: sudo apt install git" >&2; exit 1; }

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@$(MAKE) --no-print-directory requirements
	@$(RUN) pip --version >/dev/null 2>&1 || { echo "Creating .venv"; $(PYTHON) -m venv --clear .venv; }
	@echo "Installing; the first time this takes some minutes"
	@$(RUN) pip install --disable-pip-version-check -c constraints.txt -e ".[recipes,onnx,prune,solver,language,site,dev]"
	@touch $(STAMP)

MEASURE_HERE = $(RUN) greentactics measure --jobs $(JOBS) --out-dir build/results \
  --$(if $(filter again,$(MEASURE)),replace,if-needed) $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

# $(call shown,TACTIC): the site with what was measured, the verdict, and where to look
define shown
	@$(MAKE) --no-print-directory site
	@echo
	@$(RUN) greentactics verdict $(1)
	@echo
	@echo "Page:    $(CURDIR)/site/tactics/$(1)/index.html"
	@echo "Browse:  make serve     Measure anew:  make $@ MEASURE=again"
endef

demo: $(STAMP)
	@$(MEASURE_HERE) $(TACTIC) --subject digits_cnn --seeds 5 --latency-seeds 3 --latency-cap 3
	$(call shown,$(TACTIC))

demo-full: $(STAMP)
	@$(MEASURE_HERE) $(TACTIC) --seeds 5 --latency-cap 10
	$(call shown,$(TACTIC))

# An interpreter whose torch sees the accelerator is taken as it is. What it lacks goes to a venv that borrows its
# packages, without the constraints, which would bring another torch. Without one, .venv gets the torch for CUDA.
# Without a network, packages come from where PIP_NO_INDEX=1 PIP_FIND_LINKS=folder says, or stand in PYTHONPATH.
BORROWING := build/accelerator
PIP_FREE := pip install --disable-pip-version-check --quiet
SEES_CUDA = -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2>/dev/null
CAN_MEASURE = -c 'import greentactics.cli.measure, pooch, scipy, sklearn, yaml' 2>/dev/null
PATHS_TO = -c 'import sys; print("\n".join(p for p in sys.path if p.endswith("-packages")))'

accelerator: export PYTHONPATH := $(CURDIR)/catalogue:$(CURDIR):$(PYTHONPATH)
accelerator:
	@for python in .venv/bin/python $(BORROWING)/bin/python $(PYTHON); do \
	  if $$python $(SEES_CUDA) && $$python $(CAN_MEASURE); then break; fi; python=; \
	done; \
	if [ -z "$$python" ] && $(PYTHON) $(SEES_CUDA); then \
	  echo "Creating $(BORROWING) beside $(PYTHON), whose PyTorch sees the accelerator"; \
	  $(PYTHON) -m venv --clear $(BORROWING) && python=$(BORROWING)/bin/python && \
	  $(PYTHON) $(PATHS_TO) > "$$($$python $(PATHS_TO))/borrowed.pth" && \
	  $$python -m $(PIP_FREE) -e ".[recipes,onnx,prune,solver,nvml]" || exit 1; \
	elif [ -z "$$python" ] && command -v nvidia-smi >/dev/null; then \
	  $(MAKE) --no-print-directory install && python=.venv/bin/python && \
	  $$python -m $(PIP_FREE) --force-reinstall torch || exit 1; \
	fi; \
	[ -n "$$python" ] && $$python $(SEES_CUDA) || { \
	  echo "No accelerator that PyTorch can use; nvidia-smi lists those there are." >&2; \
	  echo "Another interpreter: make accelerator PYTHON=folder/bin/python" >&2; exit 1; }; \
	$$python -m greentactics measure --all --device auto --out-dir "$(OUT_DIR)" $(if $(WITHIN),--within $(WITHIN)) \
	  $(if $(DATA_DIR),--data-dir "$(DATA_DIR)")

smoke: $(STAMP)
	@$(RUN) greentactics measure --all --preset smoke --seeds 1 --latency-seeds 0 --no-control --jobs $(JOBS) --out-dir build/smoke

site: $(STAMP)
	@echo "Building the site into site/"
	@$(NO_WARNING) $(RUN) mkdocs build --strict

serve: $(STAMP)
	@$(NO_WARNING) $(RUN) mkdocs serve --livereload

test: $(STAMP)
	@PYTHONUTF8=1 $(RUN) pytest -n 2 $(ARGS)

check: $(STAMP)
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy
	@.venv/bin/lint-imports --no-cache
	@$(RUN) greentactics check

benchmark: $(STAMP)
	@$(RUN) pytest tests/benchmarks -o python_files='bench_*.py' $(ARGS)

clean:
	rm -rf site build .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -print | xargs rm -rf
