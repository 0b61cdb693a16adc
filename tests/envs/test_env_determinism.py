"""The same seed is the same episode and the same rollout: in every process, and scalar or vector."""

import json
import os
import subprocess
import sys
from pathlib import Path

import gymnasium
import pytest

from memgym.policies import RandomActions
from memgym.records import trajectory_to_row
from memgym.rollout import rollout
from tests.scripted import same, write_locomo

ROOT = Path(__file__).parents[2]

# Run in this process and in others: everything that reset and random play give, as JSON.
TRANSCRIPT = """
import json, sys
import gymnasium
import numpy as np
import memgym

def transcript(env_id, kwargs):
    env = gymnasium.make(env_id, budget=50, **kwargs)
    env.action_space.seed(5)
    rows = []
    for seed in (0, 1, None):
        rows.append(env.reset(seed=seed))
        terminated = False
        while not terminated:
            rows.append(env.step(env.action_space.sample()))
            terminated = rows[-1][2]
    return rows

def lists(value):
    return value.tolist() if isinstance(value, np.ndarray) else repr(value)

if __name__ == "__main__":
    for env_id, kwargs in json.loads(sys.argv[1]).items():
        print(json.dumps(transcript(env_id, kwargs), default=lists))
"""


@pytest.fixture
def kwargs(tmp_path) -> dict[str, dict]:
    return {
        "memgym/Dialogue-v0": {"dialogue": {"chunks": 3, "turns_per_chunk": 4, "questions": 4}},
        "memgym/LoCoMo-v0": {"path": str(write_locomo(tmp_path / "locomo10.json")), "split": "all"},
        "memgym/Custom-v0": {"path": str(ROOT / "tests/data/custom_example.jsonl")},
    }


def test_seeded_play_is_the_same_in_every_process_whatever_the_hash_seed(kwargs):
    outputs = []
    for hash_seed in ("0", "1", "random"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", TRANSCRIPT, json.dumps(kwargs)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        outputs.append(done.stdout)
    assert len(outputs[0].splitlines()) == 3
    assert outputs[0] == outputs[1] == outputs[2]


@pytest.mark.parametrize("env_id", ["memgym/Dialogue-v0", "memgym/LoCoMo-v0", "memgym/Custom-v0"])
def test_the_same_seed_is_the_same_episode_scalar_and_vector(env_id, kwargs):
    vector = gymnasium.make_vec(env_id, num_envs=4, **kwargs[env_id])
    batch, infos = vector.reset(seed=20)
    for index in range(4):
        observation, info = gymnasium.make(env_id, **kwargs[env_id]).reset(seed=20 + index)
        assert same({key: values[index] for key, values in batch.items()}, observation)
        assert infos["episode_id"][index] == info["episode_id"]


@pytest.mark.parametrize("num_envs", [1, 2, 5])
def test_a_rollout_does_not_depend_on_how_many_run_together(num_envs, kwargs):
    def rows(number):
        vector = gymnasium.make_vec("memgym/Dialogue-v0", num_envs=number, budget=60, **kwargs["memgym/Dialogue-v0"])
        return [trajectory_to_row(trajectory) for trajectory in rollout(vector, RandomActions(3), [4, 0, 1, 0, 2])]

    assert rows(num_envs) == rows(3)
