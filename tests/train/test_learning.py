"""Both algorithms learn the smallest tasks: which of two lines to keep, and which of two answers is the right one."""

import pytest
import torch

from agents.tiny import build_tiny
from tests.scripted import make_episode, make_question, write_custom
from train import grpo, ppo, sft
from train.callbacks import read_metrics


def skier(number):
    """A day on which Ann says two things, in either order; the question is about one of them."""
    lines = ["I ski.", "Hm."] if number % 2 else ["Hm.", "I ski."]
    return make_episode(
        lines, questions=[make_question("Does Ann ski?", "yes", f"t{lines.index('I ski.')}")], id_=f"s{number}"
    )


@pytest.fixture(scope="module")
def decided_backbone(tmp_path_factory):
    """A tiny Llama whose frozen head can be sure of a token: as it comes, the likeliest has about even chances."""
    folder = tmp_path_factory.mktemp("learning") / "backbone"
    model, tokenizer = build_tiny("tiny-llama")
    with torch.no_grad():
        model.lm_head.weight *= 4
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def start(decided_backbone, tmp_path_factory):
    """The task, with room for one line only, and a warm start on random writes, which teaches the format."""
    folder = tmp_path_factory.mktemp("start")
    stories = write_custom(folder / "stories.jsonl", *map(skier, range(48)))
    task = [
        *("--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {stories}, budget: 6}}"),
        *("--backbone.name", str(decided_backbone), "--lora.rank", "8", "--first_episode", "16"),
        *("--agent.style", "quote", "--agent.max_new_tokens", "12", "--save_every", "1000"),
    ]
    warm = ["--teacher", "random", "--episodes", "32", "--max_steps", "40", "--learning_rate", "1e-2"]
    sft.main([*task, *warm, "--output_dir", str(folder / "sft")])
    held_out = ["--eval_episodes", "16", "--eval_every", "15", "--eval_temperature", "1.0"]
    return [*task, *held_out, "--backbone.adapter", str(folder / "sft" / "adapter"), "--max_steps", "15"]


def assert_learned(folder):
    rows = read_metrics(folder / "metrics.jsonl")
    first, last = (row for row in rows if "eval_score" in row)
    rewards = [row["reward"] for row in rows if "reward" in row]
    print(f"floor {first['eval_floor']:.3f}, warm start {first['eval_score']:.3f}, ", end="")
    print(f"trained {last['eval_score']:.3f}, ceiling {first['eval_ceiling']:.3f}")
    assert (first["eval_floor"], first["eval_ceiling"]) == (0.0, 1.0)
    assert 0.1 < first["eval_score"] < 0.7
    assert last["eval_score"] > first["eval_score"] + 0.25
    assert sum(rewards[-5:]) / 5 > max(0.8, rewards[0] + 0.2)


def test_grpo_learns_what_to_keep_from_the_exams_score(start, tmp_path):
    grid = ["--group_size", "8", "--episodes_per_step", "2", "--turns_per_trajectory", "1", "--micro_batch_size", "16"]
    grpo.main([*start, *grid, "--learning_rate", "3e-3", "--output_dir", str(tmp_path)])
    assert_learned(tmp_path)


def test_ppo_learns_what_to_keep_from_the_exams_score(start, tmp_path):
    """From the same start, with as many trajectories a step."""
    batch = ["--episodes_per_step", "16", "--epochs", "2", "--minibatches", "1", "--micro_batch_size", "16"]
    rates = ["--learning_rate", "1e-3", "--critic_learning_rate", "1e-2"]
    ppo.main([*start, *batch, *rates, "--output_dir", str(tmp_path)])
    assert_learned(tmp_path)


# --- Who answers -----------------------------------------------------------------------------------------------------


def asked(number, answer):
    """A day on which Ann says that she skis, and the question whether she does."""
    return make_episode(["I ski."], questions=[make_question("Does Ann ski?", answer, "t0")], id_=f"a{number}")


@pytest.fixture(scope="module")
def answer_start(decided_backbone, tmp_path_factory):
    """A warm start on answers at random, yes or no, which teaches to answer at all; right is always yes."""
    folder = tmp_path_factory.mktemp("answerer")
    random_answers = write_custom(folder / "random.jsonl", *(asked(n, ["no", "yes"][n % 2]) for n in range(16)))
    stories = write_custom(folder / "stories.jsonl", *(asked(n, "yes") for n in range(16)))
    model = ["--backbone.name", str(decided_backbone), "--lora.rank", "8", "--save_every", "1000"]
    task = ["--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {random_answers}}}", "--role", "answerer"]
    warm = ["--teacher", "append_all", "--max_steps", "40", "--learning_rate", "1e-2"]
    sft.main([*model, *task, *warm, "--output_dir", str(folder / "sft")])
    derived = f"{{source: memgym/Custom-v0, split: test, source_kwargs: {{path: {stories}}}, memories: 2, reward: em}}"
    return [
        *(*model, "--env.id", "memgym/MemoryR1Answer-v0", "--env.kwargs", derived, "--agent.max_new_tokens", "5"),
        *("--backbone.adapter", str(folder / "sft" / "adapter"), "--max_steps", "8"),
        *("--eval_episodes", "16", "--eval_every", "8", "--eval_temperature", "1.0"),
    ]


def assert_answers(folder):
    rows = read_metrics(folder / "metrics.jsonl")
    first, last = (row["eval_score"] for row in rows if "eval_score" in row)
    rewards = [row["reward"] for row in rows if "reward" in row]
    print(f"warm start {first:.3f}, trained {last:.3f}, rewards {' '.join(f'{reward:.2f}' for reward in rewards)}")
    assert 0.1 < first < 0.8
    assert last > max(0.8, first + 0.2)
    assert sum(rewards[-3:]) / 3 > max(0.8, rewards[0] + 0.15)


def test_grpo_learns_what_to_answer(answer_start, tmp_path):
    grid = ["--group_size", "8", "--episodes_per_step", "2", "--turns_per_trajectory", "1", "--micro_batch_size", "16"]
    grpo.main([*answer_start, *grid, "--learning_rate", "3e-3", "--output_dir", str(tmp_path)])
    assert_answers(tmp_path)


def test_ppo_learns_what_to_answer(answer_start, tmp_path):
    batch = ["--episodes_per_step", "16", "--epochs", "2", "--minibatches", "1", "--micro_batch_size", "16"]
    rates = ["--learning_rate", "5e-4", "--critic_learning_rate", "1e-2"]
    ppo.main([*answer_start, *batch, *rates, "--output_dir", str(tmp_path)])
    assert_answers(tmp_path)
