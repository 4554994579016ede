PYTHON ?= python3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: install search test test-extras check lint clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt scripts/install
	scripts/install "$(PYTHON)" "$(VENV)"
	@touch $(STAMP)

search: install  ## a first search and its report: no data is downloaded
	$(VENV)/bin/experiments search mnist_cnn --dataset digits --max-trials 8 --max-epochs 15 \
	    --name first-search-$$(date +%Y%m%d-%H%M%S) $(ARGS)

test: install
	scripts/test $(ARGS)

test-extras:  ## installs [cluster], [export], [gp] beside the main environment and tests them
	scripts/test-extras "$(PYTHON)"

check: install
	scripts/check

lint: install
	scripts/lint

clean:
	rm -rf $(VENV) .venv-extras build *.egg-info
