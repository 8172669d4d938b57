# `make demo` and `make test` set everything up by themselves; the second time they start at once.
BIN := .venv/bin
READY := .venv/.ready

.PHONY: demo test check bench bundle docs lab setup clean help

help:
	@echo "make demo    meter a capture that ships, learn from five labels a class, write a report"
	@echo "make test    run every test"
	@echo "make check   formatting, lint, types, generated pages"
	@echo "make bench   measure speed and memory"
	@echo "make lab     play the laboratory's scenarios into build/lab (needs root)"
	@echo "make bundle  train the packaged bundle anew on runs of the laboratory in build/lab"
	@echo "make docs    write the generated reference pages again"
	@echo "make clean   remove the virtual environment and caches"

demo: $(READY)
	@$(BIN)/flowlore demo --output build/demo --overwrite

test: $(READY)
	@scripts/test

check: $(READY)
	@scripts/check

bench: $(READY)
	@scripts/bench

lab: $(READY)
	@scripts/lab

bundle: $(READY)
	@scripts/make_bundle

docs: $(READY)
	@scripts/docs

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup
	@scripts/setup
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
