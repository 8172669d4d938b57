# `make demo` and `make test` set everything up by themselves; the second time they start at once.
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check bench docs lab setup clean help

help:
	@echo "make demo    meter a capture that ships with the package and show what is in it"
	@echo "make test    run every test"
	@echo "make check   formatting, lint, types, generated pages"
	@echo "make bench   measure speed and memory"
	@echo "make lab     play the laboratory's scenarios into build/lab (needs root)"
	@echo "make docs    write the generated reference pages again"
	@echo "make clean   remove the virtual environment and caches"

demo: $(READY)
	@$(BIN)/flowlore demo

test: $(READY)
	@scripts/test

check: $(READY)
	@scripts/check

bench: $(READY)
	@scripts/bench

lab: $(READY)
	@scripts/lab

docs: $(READY)
	@scripts/docs

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup
	@scripts/setup
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
