"""Every registered environment keeps Gymnasium's contract; warnings are errors here."""

import math
import pickle
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec, load_env_creator
from gymnasium.utils.env_checker import check_env

import memgym
from memgym.envs.memory import MemoryEnv
from memgym.envs.vector import MemoryVectorEnv
from memgym.rewards import RECIPES
from tests.scripted import same, write_locomo

ROOT = Path(__file__).parents[2]
IDS = sorted(spec.id for spec in gymnasium.registry.values() if spec.namespace == memgym.envs.NAMESPACE)
MEMORY_IDS = [id_ for id_ in IDS if issubclass(load_env_creator(gymnasium.spec(id_).entry_point), MemoryEnv)]
DIALOGUE = {"dialogue": {"chunks": 3, "turns_per_chunk": 4, "questions": 4}}


@pytest.fixture
def kwargs(request, tmp_path) -> dict:
    """What an id needs to be made; an environment that needs nothing need not be listed."""
    return {
        "memgym/Custom-v0": {"path": str(ROOT / "tests/data/custom_example.jsonl")},
        "memgym/Dialogue-v0": DIALOGUE,
        "memgym/MemoryR1Answer-v0": {"source": "memgym/Dialogue-v0", "source_kwargs": DIALOGUE},
        "memgym/MemoryR1Manager-v0": {"source": "memgym/Dialogue-v0", "source_kwargs": DIALOGUE},
        "memgym/LoCoMo-v0": {"path": str(write_locomo(tmp_path / "locomo10.json")), "split": "all"},
    }.get(request.getfixturevalue("env_id"), {})


every_env = pytest.mark.parametrize("env_id", IDS)
every_memory_env = pytest.mark.parametrize("env_id", MEMORY_IDS)  # those whose actions are memory operations


def test_the_page_registers_the_environments():
    assert {"memgym/Dialogue-v0", "memgym/LoCoMo-v0", "memgym/Custom-v0"} <= set(MEMORY_IDS)
    assert set(IDS) - set(MEMORY_IDS) == {"memgym/MemoryR1Answer-v0"}


@every_env
def test_check_env_has_nothing_to_say(env_id, kwargs):
    check_env(gymnasium.make(env_id, **kwargs).unwrapped)


@every_memory_env
@pytest.mark.parametrize(
    "settings", [{"budget": 20}, {"question_visible": True, "show": "relevant", "reward": "mem_alpha"}]
)
def test_check_env_has_nothing_to_say_under_other_settings(env_id, kwargs, settings):
    check_env(gymnasium.make(env_id, **kwargs, **settings).unwrapped)


@every_memory_env
@pytest.mark.parametrize("seed", range(4))
def test_random_actions_play_whole_episodes_inside_the_spaces(env_id, kwargs, seed):
    env = gymnasium.make(env_id, budget=40, **kwargs)  # wrapped in PassiveEnvChecker and OrderEnforcing
    env.action_space.seed(seed)
    observation, _ = env.reset(seed=seed)
    chunks, steps, terminated = int(observation["progress"][1]), 0, False
    while not terminated:
        assert observation in env.observation_space
        observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
        steps += 1
        assert isinstance(reward, float) and math.isfinite(reward)
        assert truncated is False
        assert info["tokens"]["total"] <= 40
    assert observation in env.observation_space
    assert chunks <= steps <= 3 * chunks
    assert 0 <= info["exam"]["score"] <= 1


@every_env
@pytest.mark.parametrize("mode", [None, "sync"])
def test_make_vec_gives_batches_of_its_space(env_id, kwargs, mode):
    envs = gymnasium.make_vec(env_id, num_envs=3, vectorization_mode=mode, **kwargs)
    assert isinstance(envs.unwrapped, MemoryVectorEnv) == (mode is None)
    observations, _ = envs.reset(seed=1)
    assert observations in envs.observation_space
    envs.action_space.seed(0)
    observations, rewards, terminations, truncations, _ = envs.step(envs.action_space.sample())
    assert observations in envs.observation_space
    assert (rewards.dtype, rewards.shape) == (np.float64, (3,))
    assert terminations.dtype == truncations.dtype == np.bool_
    envs.close()


@every_env
def test_a_spec_that_went_through_json_and_pickle_makes_the_same_environment(env_id, kwargs):
    env = gymnasium.make(env_id, **kwargs)
    first = env.reset(seed=3)
    for spec in (EnvSpec.from_json(env.spec.to_json()), pickle.loads(pickle.dumps(env.spec))):
        assert same(gymnasium.make(spec).reset(seed=3), first)


@every_memory_env
@pytest.mark.parametrize("reward", RECIPES)
def test_an_environment_that_is_not_running_can_be_pickled(env_id, kwargs, reward):
    env = gymnasium.make(env_id, reward=reward, **kwargs)
    copy = pickle.loads(pickle.dumps(env))
    assert same(copy.reset(seed=3), env.reset(seed=3))


@every_env
def test_statistics_wrappers_count_the_return(env_id, kwargs):
    env = gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make(env_id, **kwargs))
    env.reset(seed=0)
    action = [] if env_id in MEMORY_IDS else "**Answer:** tea"
    total, terminated = 0.0, False
    while not terminated:
        _, reward, terminated, _, info = env.step(action)
        total += reward
    assert info["episode"]["r"] == pytest.approx(total)


def test_the_module_prefix_needs_no_import():
    code = "import gymnasium; print(gymnasium.make('memgym:memgym/Dialogue-v0').reset(seed=0)[1]['episode_id'])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    expected = gymnasium.make("memgym:memgym/Dialogue-v0").reset(seed=0)[1]["episode_id"]
    assert done.stdout.strip() == expected


@every_env
def test_the_docstring_has_the_headings_of_a_public_page(env_id):
    page = load_env_creator(gymnasium.spec(env_id).entry_point).__doc__
    for heading in ("Description", "Starting State", "Reward", "Arguments", "Version History"):
        assert f"## {heading}\n" in page
