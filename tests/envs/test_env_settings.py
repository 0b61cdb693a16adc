"""How an environment starts, stops, is set up and is rendered."""

import gymnasium
import pytest

from memgym.envs.memory import READERS, MemoryEnv
from memgym.memory.budget import Budget
from memgym.memory.operations import Operation
from tests.scripted import FakeReader, fact, make_env, make_episode, tea_story


def started(*episodes, **config) -> MemoryEnv:
    env = make_env(*(episodes or (tea_story(),)), **config)
    env.reset(seed=0)
    return env


# --- starting and stopping ---


def test_options_name_the_episode():
    env = make_env(tea_story("a"), tea_story("b"), tea_story("c"))
    assert [env.reset(options={"episode": index})[1]["episode_id"] for index in (2, 0, 1)] == ["c", "a", "b"]
    with pytest.raises(IndexError, match="episode index 3: task 'scripted' has 3 episodes"):
        env.reset(options={"episode": 3})


def test_an_option_that_does_not_exist_is_not_passed_over():
    with pytest.raises(ValueError, match="reset option 'epsiode' is unknown: expected 'episode'"):
        make_env(tea_story()).reset(options={"epsiode": 0})


@pytest.mark.parametrize("reader", READERS)
def test_every_reader_by_name_takes_the_exam(reader):
    env = started(tea_story(days=1), reader=reader)
    info = env.step([fact("Ann bought a red bicycle in Bern.")])[-1]
    assert info["exam"]["answers"][0]["prediction"]


def test_the_seed_draws_every_episode_of_a_task():
    env = make_env(*(tea_story(name) for name in "abc"))
    assert {env.reset(seed=seed)[1]["episode_id"] for seed in range(30)} == {"a", "b", "c"}


def test_a_new_episode_starts_with_an_empty_memory():
    env = started()
    env.step([fact("red bicycle"), fact("red bicycle")])
    observation, info = env.reset()
    assert (observation["entries"], observation["results"], info["tokens"]["total"]) == ((), (), 0)


def test_the_first_write_of_every_episode_has_id_one():
    env = started()
    for _ in range(2):
        assert env.step([fact("tea")])[-1]["operations"][0]["result_id"] == 1
        env.reset()


@pytest.mark.parametrize("method", ["step", "observation", "paper"])
def test_before_reset_and_after_close_reset_is_asked_for(method):
    def call(env):
        return env.step([]) if method == "step" else getattr(env, method)()

    env = make_env(tea_story())
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        call(env)
    env.reset()
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        call(env)


def test_a_step_after_the_end_asks_for_reset_and_changes_nothing():
    env = started(make_episode(["One."]))
    env.step([])
    before = env.bank.state_hash()
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode is over"):
        env.step([fact("too late")])
    assert env.bank.state_hash() == before


def test_an_episode_without_chunks_cannot_start():
    with pytest.raises(ValueError, match="episode 'story' has no chunks"):
        make_env(make_episode()).reset()


# --- settings ---


@pytest.mark.parametrize(
    "budget", [30, Budget(total=30), {"total": 30}, {"core": 512, "episodic": None, "semantic": None, "total": 30}]
)
def test_a_budget_is_a_number_a_budget_or_its_fields(budget):
    assert started(budget=budget).bank.budget == Budget(total=30)


def test_no_budget_leaves_the_limit_of_the_core():
    assert started().bank.budget == Budget()


def test_the_unit_of_the_budget_can_be_another():
    env = started(budget=10, count_tokens=len)
    assert env.step([fact("0123456789")])[-1]["tokens"]["total"] == 10


@pytest.mark.parametrize(
    ("config", "error", "message"),
    [
        ({"reader": "gpt"}, ValueError, "reader 'gpt' is unknown; choose one of extractive"),
        ({"reward": "money"}, ValueError, "reward 'money' is unknown; choose one of mem_alpha, memory_r1, memgym"),
        ({"show": "oldest"}, ValueError, "show='oldest': expected 'recent' or 'relevant'"),
        ({"shown": -1}, ValueError, "shown=-1: expected a whole number of at least 0"),
        ({"shown": "all"}, ValueError, "shown='all': expected a whole number"),
        ({"max_operations": 0}, ValueError, "max_operations=0"),
        ({"max_steps_per_chunk": 0}, ValueError, "max_steps_per_chunk=0"),
        ({"retrieve": 0}, ValueError, "retrieve=0"),
        ({"context_tokens": "many"}, ValueError, "context_tokens='many'"),
        ({"exam_context": "web"}, ValueError, "context='web': expected 'memory' or 'stream'"),
        ({"budget": -5}, ValueError, "budget total=-5: expected a non-negative int"),
        ({"budget": "small"}, ValueError, "budget total='small'"),
        ({"budget": {"attic": 5}}, TypeError, "attic"),
        ({"bugdet": 5}, TypeError, "bugdet"),
        ({"render_mode": "human"}, ValueError, "render_mode='human': expected None or 'ansi'"),
    ],
)
def test_a_wrong_setting_raises_one_line_when_the_environment_is_made(config, error, message):
    with pytest.raises(error, match=message) as caught:
        make_env(tea_story(), **config)
    assert "\n" not in str(caught.value)


def test_a_reader_object_answers_the_exam():
    reader = FakeReader(lambda task: "Moss")
    env = started(make_episode(["Hm."], questions=tea_story().questions), reader=reader)
    info = env.step([])[-1]
    assert [answer["prediction"] for answer in info["exam"]["answers"]] == ["Moss", "Moss"]
    assert info["exam"]["score"] == 0.5
    assert len(reader.batches) == 1


def test_ansi_rendering_shows_chunk_and_memory():
    env = started(render_mode="ansi")
    env.step([Operation("update", "core", "Ann cycles"), fact("red bicycle")])
    assert env.render().splitlines() == [
        "chunk 2 of 3",
        "Ann: My sister Ines works as a baker.",
        "Ann: So it goes.",
        "core: Ann cycles",
        "#1 semantic 2024-05-01T09:00 red bicycle",
    ]


def test_without_a_render_mode_nothing_is_rendered():
    assert started().render() is None
