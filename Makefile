# What one wants, by name; each is a short script of the same name. Start with `make setup` and `make demo`.
.PHONY: help setup demo check test test-pythons bench release clean

help:
	@echo "make setup         install what is missing, make .venv, build the release"
	@echo "make demo          count a real access log of 10,000 lines"
	@echo "make check         formats, warnings, cycles, types, dialyzer"
	@echo "make test          make check, and every test"
	@echo "make test-pythons  the Python tests on every Python from 3.10 to 3.13 that is found"
	@echo "make bench         measure beside other systems: an hour or more; see docs/benchmarks.md"
	@echo "make release       build the release, where its sources have changed"
	@echo "make clean         remove everything that was built, .venv too"

setup:
	@scripts/setup

demo: setup
	@scripts/demo

check: setup
	@scripts/check

test: setup
	@scripts/test

test-pythons: setup
	@scripts/test-pythons

bench: setup
	@.venv/bin/comporta bench

release: setup

clean:
	@scripts/clean
