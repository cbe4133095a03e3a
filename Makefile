# Two commands do everything on a fresh machine: `make demo` and `make test`. `make help` lists all.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-compile --constraint constraints.txt
STORE ?= store
# Tests wait for servers and processes for a third of their time: half as many again as there are cores.
TESTERS = $(shell echo $$(( ($$(nproc) * 3 + 1) / 2 )))
PEERS = benchmarks/.venv-peers/bin/python
# What an image of a container may set; then each of a thousand processes would compile all that it imports.
export PYTHONDONTWRITEBYTECODE =
SOURCES = $(shell find src recipes -type f -not -name '*.pyc' 2>/dev/null) pyproject.toml README.md

.PHONY: help dev setup demo recipes test slow peers clients trl first-hour check fix bench bench-conduct clean

help:  ## this list
	@sed -n -E 's/^([a-z-]+):[^#]*## (.*)$$/  make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 22

# Its own environment, which looks into the tested one for all that is not mashbill.
dev: $(VENV)/tested  ## an editable install, .venv-dev/bin/mashbill, beside the tested wheel
	$(PYTHON) -m venv .venv-dev
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.venv-dev/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/zz_tested.pth"
	.venv-dev/bin/python -m pip --disable-pip-version-check --quiet install --no-build-isolation --no-deps --editable .

setup: $(VENV)/installed  ## what the demo needs

# torch first and alone: a loose requirement would fetch another build of it.
$(VENV)/base: constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch==2.13.0
	$(PIP) hatchling
	touch $@

$(VENV)/installed: $(VENV)/base $(SOURCES)
	$(PIP) --no-build-isolation --force-reinstall --no-deps .
	$(PIP) --no-build-isolation '.[local,train]'
	touch $@

$(VENV)/tested: $(VENV)/installed
	$(PIP) --no-build-isolation '.[all,dev]'
	$(PIP) --no-deps axe-playwright-python==0.1.8  # for its axe.min.js: no page is driven by Playwright
	$(BIN)/python tests/fetch_teacher.py
	touch $@

demo: $(VENV)/installed  ## run the main job: a report at the end
	$(BIN)/mashbill run grey_area --store $(STORE)
	$(BIN)/mashbill plan grey_area --store $(STORE) --teacher openai:gpt-4o-mini

# What is made already is not made again: a run that was cut off goes on, and more seeds add to what is there.
SEEDS ?= 1
recipes: $(VENV)/tested  ## students that learn from a teacher, one recipe after the other; SEEDS=1,2,3,4,5 for more
	set -e; for name in extract refinery logit_kd prefer on_policy council; do \
		sed 's/^seeds = .*/seeds = [$(SEEDS)]/' recipes/$$name.toml > recipes/.$$name.toml; \
		$(BIN)/mashbill run recipes/.$$name.toml --store $(STORE)/$$name; \
		$(BIN)/mashbill compare --recipe recipes/.$$name.toml --store $(STORE)/$$name; \
		rm recipes/.$$name.toml; \
	done

test: $(VENV)/tested  ## tests, against the wheel; laws on a tenth of their examples
	MASHBILL_HYPOTHESIS=quick $(BIN)/python -m pytest -q -n $(TESTERS) --dist loadfile -m "not slow"

slow: $(VENV)/tested  ## those that take their time: kills, real servers, long chains, every environment; laws on all of their examples
	$(BIN)/python -m pytest -q -n $(TESTERS) --dist loadfile -m "slow or law" --durations 12

# Suites of others in an environment of their own, as `mashbill harness` says; torch first, and alone.
SUITES = lm-eval==0.4.13 inspect-ai==0.3.285 transformers==5.23.0 accelerate==1.15.0
SUITE = $(CURDIR)/benchmarks/.venv-suites/bin/python
$(SUITE):
	$(PYTHON) -m venv benchmarks/.venv-suites
	$@ -m pip install --quiet torch==2.13.0
	$@ -m pip install --quiet $(SUITES)

peers: $(VENV)/tested $(SUITE)  ## tests that want environments of others: lm-eval and inspect-ai on a tiny model
	MASHBILL_LM_EVAL=$(SUITE) MASHBILL_INSPECT_AI=$(SUITE) $(BIN)/python -m pytest -q -n 0 -m slow tests/evals/test_harness.py

clients: $(VENV)/tested benchmarks/.venv-litellm/bin/python  ## the official clients of OpenAI and Anthropic, and LiteLLM's, through the gateway
	MASHBILL_CLIENTS=$(CURDIR)/benchmarks/.venv-litellm/bin/python $(BIN)/python -m pytest -q -n 0 -m slow tests/conduct/test_gateway_serving.py -k "official or litellm_s_own"

# TRL in an environment of its own; torch first, and alone.
TRAINERS = trl==1.16.0 transformers==5.23.0 peft==0.21.2 datasets==5.2.0
TRAINER = $(CURDIR)/benchmarks/.venv-trl/bin/python
$(TRAINER):
	$(PYTHON) -m venv benchmarks/.venv-trl
	$@ -m pip install --quiet torch==2.13.0
	$@ -m pip install --quiet $(TRAINERS)

trl: $(VENV)/tested $(TRAINER)  ## a student that TRL trains on a published dataset, and its way back
	MASHBILL_TRL=$(TRAINER) $(BIN)/python -m pytest -q -n 0 tests/test_trl_example.py

first-hour: $(VENV)/tested $(TRAINER)  ## a person's CSV to labels, a classifier, a publication, a student of TRL, its bill
	folder=$$(mktemp -d) && MASHBILL=$(abspath $(BIN))/mashbill PYTHON=$(abspath $(BIN))/python TRAINER=$(TRAINER) examples/first-hour/run.sh $$folder && rm -rf $$folder

check: $(VENV)/tested  ## lint, format, types, import rule
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fix: $(VENV)/tested  ## mend what ruff can, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A peer of deduplication in an environment of its own, since one's numpy is not another's.
RENSA = rensa==0.5.0 numpy
DATASKETCH = datasketch==2.0.0
DATATROVE = datatrove[processing]==0.10.1 spacy
benchmarks/.venv-%/bin/python:
	$(PYTHON) -m venv benchmarks/.venv-$*
	$@ -m pip install --quiet $($(shell echo $* | tr a-z A-Z))

bench: $(VENV)/tested benchmarks/.venv-rensa/bin/python benchmarks/.venv-datasketch/bin/python benchmarks/.venv-datatrove/bin/python  ## by hand, on a machine that does nothing else: see benchmarks/README.md
	test -x $(PEERS) || { $(PYTHON) -m venv $(dir $(PEERS)).. && $(PEERS) -m pip install --quiet networkx duckdb numpy pyarrow datatrove orjson math-verify==0.9.0 sandlock==0.9.0; }
	$(BIN)/python benchmarks/engines.py
	$(BIN)/python benchmarks/lineage_hub.py --peers $(PEERS)
	$(BIN)/python benchmarks/lineage_rows.py
	$(BIN)/python benchmarks/heuristics.py --peers benchmarks/.venv-datatrove/bin/python
	$(BIN)/python benchmarks/maths.py --peers $(PEERS)
	$(BIN)/python benchmarks/code.py --peers $(PEERS)
	$(BIN)/python benchmarks/minhash.py $(foreach peer,rensa datasketch datatrove,--$(peer) benchmarks/.venv-$(peer)/bin/python)
	$(BIN)/python benchmarks/decontaminate.py
	$(BIN)/python benchmarks/workers.py
	$(BIN)/python benchmarks/training/pretrain.py
	$(BIN)/python benchmarks/training/stolen_core.py
	$(BIN)/python benchmarks/whatif_hub.py
	$(BIN)/python benchmarks/tampering.py
	$(BIN)/python benchmarks/ingest.py --peers $(PEERS)
	$(BIN)/python benchmarks/channels_kills.py
	$(BIN)/python benchmarks/conduct/soak.py
	$(BIN)/python benchmarks/llama_engine.py
	MASHBILL_FUZZ=10 $(BIN)/python -m pytest -q -n 0 tests/fuzz
	MASHBILL_HYPOTHESIS=nightly $(BIN)/python -m pytest -q -n auto --dist loadfile -k "not real_run" tests/core tests/lineage tests/policy tests/conduct/test_laws.py tests/teachers/wire tests/report

# honeypotllm loads a part of SQLAlchemy that wants greenlet. unmimic's guard wants `unmimic[ml]`, where a hub can be
# reached; without it, it is told why it did not run.
HONEYPOT = honeypotllm==0.1.3 greenlet
UNMIMIC ?= unmimic==0.1.0 huggingface-hub pyarrow
LITELLM = litellm[proxy]==1.108.7 anthropic prometheus-client
QUICK ?=
PROMPTS ?=
CONDUCT = honeypot unmimic litellm
bench-conduct: $(VENV)/tested $(CONDUCT:%=benchmarks/.venv-%/bin/python)  ## who abuses a service, beside rivals, at most an hour; QUICK=1: minutes
	$(BIN)/python benchmarks/conduct/detect.py $(if $(QUICK),--quick) $(if $(PROMPTS),--prompts $(PROMPTS)) \
		--honeypot benchmarks/.venv-honeypot/bin/python --unmimic benchmarks/.venv-unmimic/bin/python
	$(BIN)/python benchmarks/conduct/gateway.py --seconds 4 --rounds 3 --litellm benchmarks/.venv-litellm/bin/python

clean:  ## remove environments, the demo's store and builds
	rm -rf $(VENV) .venv-dev $(STORE) dist
