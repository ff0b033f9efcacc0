# Every target sets up what it needs: `make test` and `make demo` work in a fresh clone.
.DEFAULT_GOAL := help
.PHONY: help setup test collect all-tests check demo sandbox verify verify-aws verify-aws-clean learn beliefs lint types audit soak truth adopt-check generate pictures package publish-check release lock clean bench
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# uv compiles nothing when it installs: what is imported is compiled then, and kept.
unexport PYTHONDONTWRITEBYTECODE

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup:  ## make .venv and .venv/sandbox with everything pinned, and install skopeo and jq where they are missing
	@scripts/setup

test: setup  ## lint, types, and all tests
	@$(MAKE) --no-print-directory --jobs 2 lint collect
	@$(MAKE) --no-print-directory --jobs 2 types all-tests

# So that the tests are compiled: in a fresh clone, all six processes would do that at once. What is wrong, they say.
collect: setup
	@python -m pytest --collect-only -qq >/dev/null || true

# Six processes, on two cores, too: many tests wait.
all-tests: setup
	python -m pytest --numprocesses 6 --dist loadfile --no-loadscope-reorder

check: setup lint types  ## before a commit: format, lint, types, and the unit tests of the product; under 2 minutes
	python -m pytest tests/unit --numprocesses auto --dist worksteal

demo: setup  ## register the type in a local AWS, use it, delete it; VERBOSE=1; STEP=1: wait for Enter; LATE=2: a late ECR
	@LATE=$(LATE) VERBOSE=$(VERBOSE) STEP=$(STEP) python -m demo

sandbox: setup  ## start the local AWS, print the exports for another terminal, stop on Ctrl-C
	@exec .venv/sandbox/bin/python -m sandbox

verify: setup  ## ask the local AWS whether it is as we believe AWS to be; ONLY=names
	@python -m probes sandbox --only "$(ONLY)"

verify-aws: setup  ## ask your AWS account, after telling what that creates and costs; ARGS="--list" shows what is asked
	@python -m probes aws $(ARGS)

verify-aws-clean: setup  ## remove what an earlier verify-aws left, found by its tag
	@python -m probes clean $(ARGS)

learn: setup  ## keep AWS's answers in FILE, a verification.json, and show where the local AWS differs
	@python -m probes learn $(FILE)

beliefs: setup  ## write the tables of guides/aws.md from probes/
	@python -m probes page

bench: setup  ## measure every way to empty a repository, write benchmarks/RESULTS.md; LATENCY=0.2: seconds a call
	@PYTHONPATH=src python -m benchmarks $(if $(LATENCY),--latency $(LATENCY))

lint: setup  ## ruff; which part may import which; bandit on what goes to Lambda
	ruff check .
	ruff format --check .
	PYTHONPATH=src:cli lint-imports --no-cache --no-logo
	bandit --quiet --recursive src

audit: setup  ## look for known vulnerabilities in what goes to Lambda; asks PyPI
	uv tool run --from pip-audit==2.10.1 pip-audit --requirement requirements.txt --require-hashes --disable-pip --strict

types: setup  ## mypy --strict
	mypy

soak: setup  ## random sequences and events with new seeds, for MINUTES (30)
	PYTHONPATH=src:. python -m tests.faults.soak --minutes $(or $(MINUTES),30)

truth: setup  ## compare the report with what ECR deleted, in RUNS (2000) random runs
	PYTHONPATH=src:. python -m tests.faults.truth --runs $(or $(RUNS),2000)

adopt-check: setup  ## adopt 200 repositories in 40 stacks in the local AWS, killed three times; STACKS=40
	@PYTHONPATH=src:cli:. python -m benchmarks.adoption --stacks $(or $(STACKS),40)

generate: setup  ## write models.py, docs/ and resource-role.yaml from the schema
	cfn generate

pictures: setup  ## record the demo for the README
	python scripts/picture.py

package: setup  ## build the versioned zip for examples/register.yaml, and its bill of materials; print their SHA-256
	@python scripts/package.py

publish-check: setup  ## check a release: version, changelog, package, all that the public registry asks; publishes nothing
	@python scripts/publish_check.py

release: test  ## all tests and checks of a release, and its files in build/; stops before anything is published
	@python scripts/release.py

lock: setup  ## pin the requirements again, from the .in files
	uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --emit-build-options --no-header \
		requirements.in --output-file requirements.txt
	uv pip compile --quiet --python-version 3.11 --no-header \
		requirements-development.in --output-file requirements-development.txt
	grep -vE '^(boto3|botocore)==' requirements-development.txt | uv pip compile --quiet --python-version 3.11 --no-header \
		--constraints - requirements-sandbox.in --output-file requirements-sandbox.txt
	uv pip compile --quiet --universal --python-version 3.11 --no-header \
		examples/cdk/python/requirements.in --output-file examples/cdk/python/requirements.txt

clean:  ## remove what the targets made
	rm -rf .venv build *.zip rpdk.log* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
