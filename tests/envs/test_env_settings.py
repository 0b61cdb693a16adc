"""How an environment starts, stops, is set up and is rendered."""

import gymnasium
import numpy as np
import pytest

from memgym.envs.config import READERS, EnvConfig
from memgym.envs.memory import MemoryEnv
from memgym.memory.budget import Budget
from memgym.memory.operations import Operation
from tests.scripted import FakeReader, fact, make_env, make_episode, tea_story, write_locomo


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


@pytest.mark.parametrize("episode", ["a", 1.0, True, [0]])
def test_an_episode_that_is_no_index_is_refused(episode):
    with pytest.raises(
        ValueError, match=r"reset option 'episode'=.*: expected the index of an episode, a whole number"
    ):
        make_env(tea_story("a"), tea_story("b")).reset(options={"episode": episode})


def test_numpy_indices_name_episodes_too():
    env = make_env(tea_story("a"), tea_story("b"))
    assert env.reset(options={"episode": np.int64(1)})[1]["episode_id"] == "b"


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
        ({"budget": {"attic": 5}}, ValueError, "budget has no limit 'attic': expected some of core, episodic"),
        ({"budget": [5]}, ValueError, "budget total=.5.: expected a non-negative int"),
        ({"budget": True}, ValueError, "budget total=True: expected a non-negative int"),
        ({"reader": None}, ValueError, "reader=None: expected a name or an object with name, window and answer"),
        ({"reader": 3}, ValueError, "reader=3: expected a name or an object"),
        ({"reader": ["extractive"]}, ValueError, "reader=.'extractive'.: expected a name or an object"),
        ({"reader": FakeReader}, ValueError, "reader=<class .*FakeReader'>: expected a name or an object"),
        ({"reward": None}, ValueError, "reward=None: expected the name of a recipe, or a Recipe"),
        ({"reward": ["memgym"]}, ValueError, "reward=.'memgym'.: expected the name of a recipe"),
        ({"count_tokens": 3}, ValueError, "count_tokens=3: expected a function from a text to its length"),
        ({"encoder": 3}, ValueError, "encoder=3: expected MODULE:CLASS or MODULE:CLASS@NAME, or an object with name"),
        ({"question_visible": "no"}, ValueError, "question_visible='no': expected True or False"),
        ({"question_visible": 1}, ValueError, "question_visible=1: expected True or False"),
        ({"per_speaker": 2}, ValueError, "per_speaker=2: expected True or False"),
        ({"shown": True}, ValueError, "shown=True: expected a whole number"),
        ({"bugdet": 5}, TypeError, "bugdet"),
        ({"render_mode": "human"}, ValueError, "render_mode='human': expected None or 'ansi'"),
    ],
)
def test_a_wrong_setting_raises_one_line_when_the_environment_is_made(config, error, message):
    with pytest.raises(error, match=message) as caught:
        make_env(tea_story(), **config)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("dialogue", "message"),
    [
        (3, "dialogue=3: expected a mapping of some of chunks, turns_per_chunk"),
        ("short", "dialogue='short': expected a mapping"),
        ([], r"dialogue=\[\]: expected a mapping"),
        ({"days": 3}, "dialogue has no setting 'days': expected some of chunks"),
        ({"noise": "x"}, "noise='x': expected a share"),
        ({"categories": ["single", 3]}, "categories has 3: expected names out of single"),
    ],
)
def test_wrong_settings_of_a_generated_dialogue_raise_one_line(dialogue, message):
    with pytest.raises(ValueError, match=message) as caught:
        gymnasium.make("memgym:memgym/Dialogue-v0", dialogue=dialogue)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("categories", ["5", "1234", 3, ["6"], [1], []])
def test_wrong_categories_of_locomo_raise_one_line(categories, tmp_path):
    with pytest.raises(ValueError, match=r"LoCoMo categories .*: expected some of '1' to '5'") as caught:
        gymnasium.make("memgym:memgym/LoCoMo-v0", path=write_locomo(tmp_path / "locomo10.json"), categories=categories)
    assert "\n" not in str(caught.value)


def test_a_reader_object_answers_the_exam():
    reader = FakeReader(lambda task: "Moss")
    env = started(make_episode(["Hm."], questions=tea_story().questions), reader=reader)
    info = env.step([])[-1]
    assert [answer["prediction"] for answer in info["exam"]["answers"]] == ["Moss", "Moss"]
    assert info["exam"]["score"] == 0.5
    assert len(reader.batches) == 1


def test_settings_in_effect_have_no_default_left_open():
    settings = EnvConfig(budget=30, reader=FakeReader(window=9)).in_effect()
    assert settings["budget"] == {"core": 512, "episodic": None, "semantic": None, "total": 30}
    assert (settings["reader"].name, settings["reader_window"], settings["retrieval"]) == ("fake", 9, "bm25")
    assert (settings["reward"].name, settings["encoder"], settings["shown"]) == ("memgym", None, 5)


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
