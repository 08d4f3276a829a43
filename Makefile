ENGINE ?= transformers

.PHONY: install demo test check bench clean

install:
	@scripts/install transformers dev

demo:
	@scripts/demo $(ENGINE)

test:
	@scripts/test

check:
	@scripts/check

bench:
	@scripts/bench

clean:
	rm -rf .venv runs dist .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
