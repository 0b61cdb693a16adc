"""The GPU recipe (docs/gpu.md), as far as a machine without one can tell.

Configurations load, and the recipe's own files train tiny models of the same architectures in two processes, in the
precision of a GPU run. DeepSpeed, vLLM and CUDA itself are not touched.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from accelerate.commands import launch
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_deepspeed_cmd_env, prepare_multi_gpu_env
from peft import get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config

from agents.backbone import LoraSettings, lora_config
from agents.generation import MAX_BATCH_TOKENS
from agents.tiny import build_tiny
from tests.scripted import write_locomo
from train import grpo, ppo, sft
from train.callbacks import read_metrics
from train.settings import load_settings

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/gpu.md"
MACHINES = {
    "cpu1": ("NO", 1),
    "cpu2": ("MULTI_GPU", 2),
    "gpu1": ("NO", 1),
    "gpu": ("MULTI_GPU", 8),
    "zero2": ("DEEPSPEED", 8),
    "zero3": ("DEEPSPEED", 8),
    "fsdp2": ("FSDP", 8),
}
MODELS = ("qwen2.5-3b", "llama-3.1-8b")
TINY = {"qwen2.5-3b": "tiny-qwen2", "llama-3.1-8b": "tiny-llama"}
SHAPES = {  # as published with the models
    "qwen2.5-3b": Qwen2Config(
        vocab_size=151936,
        hidden_size=2048,
        intermediate_size=11008,
        num_hidden_layers=36,
        num_attention_heads=16,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
    "llama-3.1-8b": LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        tie_word_embeddings=False,
    ),
}
TRAINERS = {"sft": (sft, sft.SFTSettings), "grpo": (grpo, grpo.GRPOSettings), "ppo": (ppo, ppo.PPOSettings)}


def recipe(model, trainer):
    """The settings of one file of the recipe."""
    return load_settings(TRAINERS[trainer][1], ["--config", f"{ROOT}/train/configs/gpu/{model}_{trainer}.yaml"], "")


# --- accelerate's configurations -------------------------------------------------------------------------------------


def test_every_configuration_is_listed_here():
    assert {path.stem for path in (ROOT / "train/accelerate").glob("*.yaml")} == set(MACHINES)
    named = {f"{model}_{trainer}" for model in MODELS for trainer in TRAINERS}
    assert {path.stem for path in (ROOT / "train/configs/gpu").glob("*.yaml")} == named


@pytest.mark.parametrize("name", MACHINES)
def test_accelerate_loads_its_configuration(name):
    config = load_config_from_file(f"{ROOT}/train/accelerate/{name}.yaml")
    assert isinstance(config, ClusterConfig)
    assert (config.distributed_type.value, config.num_processes) == MACHINES[name]
    on_cpu = name.startswith("cpu")
    assert (config.use_cpu, config.mixed_precision) == (on_cpu, "no" if on_cpu else "bf16")


@pytest.fixture
def launched(monkeypatch):
    """Give this process the environment that `accelerate launch --config_file` gives to those it starts."""

    def apply(name, launcher, prepare):
        started = []
        monkeypatch.setattr(launch, launcher, started.append)
        words = ["--config_file", f"{ROOT}/train/accelerate/{name}.yaml", "--main_process_port", "0", "program.py"]
        launch.launch_command(launch.launch_command_parser().parse_args(words))
        for key, value in prepare(*started).items():
            if key.startswith(("ACCELERATE_", "FSDP_")):
                monkeypatch.setenv(key, value)

    return apply


def test_fsdp_shards_layer_by_layer_and_saves_whole_weights(launched):
    launched("fsdp2", "multi_gpu_launcher", prepare_multi_gpu_env)
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.auto_wrap_policy.__name__ == "transformer_auto_wrap_policy"
    assert plugin.state_dict_type.name == "FULL_STATE_DICT"
    assert plugin.cpu_ram_efficient_loading is False


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_shards_by_stage_and_leaves_clipping_and_accumulation_to_the_trainer(launched, stage):
    launched(f"zero{stage}", "deepspeed_launcher", lambda arguments: prepare_deepspeed_cmd_env(arguments)[1])
    config = DeepSpeedPlugin().deepspeed_config
    assert config["zero_optimization"]["stage"] == stage
    assert config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is (stage == 3)
    # A number here would have to be the trainer's, which otherwise refuses to start.
    assert (config["gradient_clipping"], config["gradient_accumulation_steps"]) == ("auto", "auto")


# --- the recipe's settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_a_models_three_files_are_one_chain(model):
    start, *trainings = (recipe(model, trainer) for trainer in TRAINERS)
    assert start.backbone.adapter is None
    for training in trainings:
        assert training.backbone.name == start.backbone.name
        assert training.backbone.adapter == f"{start.output_dir}/adapter"
        assert training.env == start.env
        assert vars(training.agent).items() >= vars(start.agent).items()


@pytest.mark.parametrize("model", MODELS)
def test_both_algorithms_sample_equally_many_trajectories(model):
    by_grpo, by_ppo = recipe(model, "grpo"), recipe(model, "ppo")
    assert by_grpo.episodes_per_step * by_grpo.group_size == by_ppo.episodes_per_step * by_ppo.group_size == 32
    arguments = grpo.trainer_arguments(by_grpo)  # TRL takes them, and a step is whole episodes
    assert arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps == 32


# --- memory ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_the_pages_memory_table_follows_from_the_models_shapes(model):
    shape = SHAPES[model]
    with torch.device("meta"):
        full = AutoModelForCausalLM.from_config(shape, dtype=torch.bfloat16)
    assert type(full) is type(build_tiny(TINY[model])[0])  # what the tiny run below stands for
    weights = sum(parameter.numel() for parameter in full.parameters())
    with torch.device("meta"):
        adapted = get_peft_model(full, lora_config(full, LoraSettings()))
    trained = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    heads = shape.num_key_value_heads * shape.hidden_size // shape.num_attention_heads
    cached = 2 * shape.num_hidden_layers * heads * 2  # bytes a token: keys and values in bfloat16
    row = next(line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| {model} |"))
    figures = [f"{2 * weights / 1e9:.1f}", f"{trained / 1e6:.1f}", f"{16 * trained / 1e9:.1f}"]
    figures.append(f"{MAX_BATCH_TOKENS * cached / 1e9:.1f}")
    assert [cell.strip() for cell in row.split("|")[2:6]] == figures


# --- the same code path, in two processes ----------------------------------------------------------------------------

# One program for the three trainings of a chain: starting Python and importing torch takes longer than they do.
PROGRAM = """
import importlib, json, os, sys

for module, words in json.loads(os.environ["RUNS"]):
    sys.argv = [f"{module}.py", *words]
    importlib.import_module(f"train.{module}").main()
"""


def words(**settings):
    return [part for key, value in settings.items() for part in (f"--{key.replace('__', '.')}", str(value))]


@pytest.mark.parametrize("model", MODELS)
def test_the_recipe_trains_a_tiny_model_of_the_same_architecture_in_two_processes(model, tmp_path):
    common = words(
        backbone__name=TINY[model],
        backbone__dtype="bfloat16",
        env__kwargs__source_kwargs=f"{{path: {write_locomo(tmp_path / 'locomo10.json')}}}",
        agent__max_new_tokens=8,
        max_steps=2,
    )
    start = ["--backbone.adapter", tmp_path / "sft/adapter"]
    as_on_gpu = "{bf16: true, gradient_checkpointing: true}"
    few = {"episodes_per_step": 2, "micro_batch_size": 2, "eval_episodes": 2}
    own = {
        "sft": words(sft=as_on_gpu),
        "grpo": [*start, *words(grpo=as_on_gpu, group_size=2, **few)],
        "ppo": [*start, *words(**few)],
    }
    runs = [
        (name, ["--config", f"train/configs/gpu/{model}_{name}.yaml", *common, "--output_dir", tmp_path / name, *more])
        for name, more in own.items()
    ]
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    machine = ["--config_file", "train/accelerate/cpu2.yaml", "--mixed_precision", "bf16", "--main_process_port", "0"]
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *machine, str(tmp_path / "program.py")],
        cwd=ROOT,
        env={
            **os.environ,
            "RUNS": json.dumps(runs, default=str),
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "HF_HUB_OFFLINE": "1",
        },
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stderr[-3000:]

    for name, figure in {"sft": "loss", "grpo": "reward", "ppo": "reward"}.items():
        rows = read_metrics(tmp_path / name / "metrics.jsonl")
        assert [row["step"] for row in rows if figure in row and "train_runtime" not in row] == [1, 2]
        adapter = load_file(tmp_path / name / "adapter/adapter_model.safetensors")
        assert len(adapter) == 2 * 7 * 2  # A and B of seven projections in two layers
        assert {min(tensor.shape) for tensor in adapter.values()} == {16}
        assert json.loads((tmp_path / name / "adapter/adapter_config.json").read_text())["r"] == 16
    turns = [row["generated_tokens"] / row["completions/mean_length"] for row in rows if "reward" in row]
    assert turns == [4, 4]  # two processes, two episodes of one decision each


# --- the page --------------------------------------------------------------------------------------------------------


def test_every_file_that_the_page_names_is_there():
    paths = r"(?:tests/train|train|memgym|agents|docs)/[\w./-]+\.(?:yaml|py|md)"
    named = set(re.findall(paths, PAGE.read_text(encoding="utf-8")))
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_the_pages_vllm_program_runs_without_vllm_on_a_tiny_model(tmp_path, monkeypatch):
    from trl.chat_template_utils import qwen3_chat_template

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    model, tokenizer = build_tiny("tiny-qwen3")
    tokenizer.chat_template = qwen3_chat_template
    model.save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for part, replacement in {
        '"Qwen/Qwen3-4B-Instruct-2507"': repr(str(tmp_path / "tiny")),
        '"runs/tools"': repr(str(tmp_path / "run")),
        "use_vllm=True": "use_vllm=False, use_cpu=True, bf16=False, disable_tqdm=True, logging_steps=1",
        "max_completion_length=6144": "max_completion_length=16",
        "num_generations=8": "num_generations=2",
        "gradient_accumulation_steps=16": "gradient_accumulation_steps=2",
        "max_steps=100": "max_steps=1",
    }.items():
        assert program.count(part) == 1, part
        program = program.replace(part, replacement)
    names = {"__name__": "__main__"}
    exec(compile(program, PAGE.name, "exec"), names)
    logged = names["trainer"].state.log_history
    assert [row["step"] for row in logged if "rewards/MemoryToolEnv/mean" in row] == [1]
