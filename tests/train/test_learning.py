"""GRPO learns the smallest task that takes a memory: of two lines, keep the one that is asked about."""

import pytest
import torch

from agents.tiny import build_tiny
from tests.scripted import make_episode, make_question, write_custom
from train import grpo, sft
from train.callbacks import read_metrics


def skier(number):
    """A day on which Ann says two things, in either order; the question is about one of them."""
    lines = ["I ski.", "Hm."] if number % 2 else ["Hm.", "I ski."]
    return make_episode(
        lines, questions=[make_question("Does Ann ski?", "yes", f"t{lines.index('I ski.')}")], id_=f"s{number}"
    )


@pytest.fixture
def decided_backbone(tmp_path):
    """A tiny Llama whose frozen head can be sure of a token: as it comes, the likeliest has about even chances."""
    model, tokenizer = build_tiny("tiny-llama")
    with torch.no_grad():
        model.lm_head.weight *= 4
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path / "backbone")
    return tmp_path / "backbone"


def test_grpo_learns_what_to_keep_from_the_exams_score(decided_backbone, tmp_path):
    """There is room for one line only. A warm start on random writes teaches the format, the reward what is asked."""
    stories = write_custom(tmp_path / "stories.jsonl", *map(skier, range(48)))
    task = [
        *("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {stories}, budget: 6}}"),
        *("--backbone.name", str(decided_backbone), "--lora.rank", "8", "--first_episode", "16"),
        *("--agent.style", "quote", "--agent.max_new_tokens", "12", "--save_every", "1000"),
    ]
    warm = ["--teacher", "random", "--episodes", "32", "--max_steps", "40", "--learning_rate", "1e-2"]
    sft.main([*task, *warm, "--output_dir", str(tmp_path / "sft")])
    grid = ["--group_size", "8", "--episodes_per_step", "2", "--turns_per_trajectory", "1", "--micro_batch_size", "16"]
    held_out = ["--eval_episodes", "16", "--eval_every", "15", "--eval_temperature", "1.0"]
    start = ["--backbone.adapter", str(tmp_path / "sft" / "adapter"), "--max_steps", "15", "--learning_rate", "3e-3"]
    grpo.main([*task, *grid, *held_out, *start, "--output_dir", str(tmp_path / "grpo")])

    rows = read_metrics(tmp_path / "grpo" / "metrics.jsonl")
    first, last = (row for row in rows if "eval_score" in row)
    rewards = [row["reward"] for row in rows if "reward" in row]
    print(f"floor {first['eval_floor']:.3f}, warm start {first['eval_score']:.3f}, ", end="")
    print(f"trained {last['eval_score']:.3f}, ceiling {first['eval_ceiling']:.3f}")
    assert (first["eval_floor"], first["eval_ceiling"]) == (0.0, 1.0)
    assert 0.1 < first["eval_score"] < 0.7
    assert last["eval_score"] > first["eval_score"] + 0.25
    assert sum(rewards[-5:]) / 5 > max(0.8, sum(rewards[:2]) / 2 + 0.2)
