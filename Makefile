PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed
DOCS := $(VENV)/.docs

.DEFAULT_GOAL := help
.PHONY: help install search test quick test-extras check lint docs clean

help:  ## print this list
	@echo "make TARGET [PYTHON=python3.12] [ARGS=...]"
	@awk -F ':.*  ## ' '/^[a-z-]+:.*  ## / {printf "  %-12s %s\n", $$1, $$2}' Makefile

install: $(STAMP)  ## make .venv with everything pinned

$(STAMP): pyproject.toml constraints.txt scripts/install
	scripts/install "$(PYTHON)" "$(VENV)"
	@touch $(STAMP)

search: install  ## run a first search and write its report: no data is downloaded
	$(VENV)/bin/experiments search mnist_cnn --dataset digits --set image_size=16 --max-trials 8 \
	    --max-epochs 6 --workers auto --name first-search-$$(date +%Y%m%d-%H%M%S) $(ARGS)

test: install  ## run all tests; one: make test ARGS="-n 0 -k ranges"
	scripts/test $(ARGS)

quick: install  ## run the quick tests, about a minute: while you work
	scripts/test -m "not slow" $(ARGS)

test-extras:  ## install [cluster], [export], [gp], [mlflow] beside the main environment, and test them
	scripts/test-extras "$(PYTHON)"

check: install  ## check format, lint and types; edits nothing
	scripts/check

lint: install  ## mend format and lint
	scripts/lint

docs: $(DOCS)  ## write the reference and build the pages into build/docs; warnings are errors
	scripts/docs "$(VENV)"

$(DOCS): $(STAMP)
	scripts/install "$(PYTHON)" "$(VENV)" docs
	@touch $(DOCS)

clean:  ## remove what was installed and built
	rm -rf $(VENV) .venv-extras build *.egg-info
