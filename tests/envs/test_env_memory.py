"""What one step of an environment does, shows, refuses and pays."""

from collections.abc import Mapping

import numpy as np
import pytest

from memgym.envs.memory import MemoryEnv
from memgym.memory.operations import Operation
from memgym.rewards import RECIPES
from memgym.tasks.episode import Chunk, Episode, Turn
from tests.scripted import fact, make_env, make_episode, same, tea_story

SEARCH = Operation("search", text="bicycle")
FAILURES = [
    (Operation("invalid", text="no such sign"), "parse"),
    (Operation("shout", "semantic", "tea"), "parse"),
    (fact("tea", timestamp="next Tuesday"), "parse"),
    (Operation("insert", "attic", "tea"), "unknown_store"),
    (Operation("insert", "core", "tea"), "wrong_store"),
    (Operation("search", "core", "tea"), "wrong_store"),
    (Operation("delete", "semantic", entry_id=99), "unknown_id"),
    (Operation("update", "episodic", "tea", entry_id=1), "unknown_id"),
    (Operation("delete", "core"), "unknown_id"),
    (fact("  "), "empty_text"),
    (Operation("search", text=""), "empty_text"),
    (fact("Ann has a red bicycle"), "duplicate"),
    (fact("word " * 50), "over_budget"),
    (Operation("insert", "semantic", quote=3), "unknown_line"),
    (Operation("insert", "semantic", quote=-1), "unknown_line"),
    (Operation("insert", "attic", quote=1), "unknown_store"),
]


def started(*episodes, **config) -> MemoryEnv:
    env = make_env(*(episodes or (tea_story(),)), **config)
    env.reset(seed=0)
    return env


# --- what is seen ---


def test_the_first_observation_shows_the_first_chunk_and_an_empty_memory():
    observation, info = make_env(tea_story(), budget=100).reset(seed=0)
    assert observation["chunk"] == "Ann: I bought a red bicycle in Bern.\nAnn: Lovely weather again."
    assert observation["timestamp"] == "2024-05-01T09:00"
    assert (observation["core"], observation["entries"], observation["results"]) == ("", (), ())
    assert observation["budget_left"].tolist() == [512, -1, -1, 100]
    assert observation["progress"].tolist() == [0, 3]
    assert set(observation) == {"chunk", "timestamp", "core", "entries", "results", "budget_left", "progress"}
    assert info == {
        "episode_id": "story",
        "operations": [],
        "reward_terms": {},
        "tokens": {"core": 0, "episodic": 0, "semantic": 0, "total": 0},
    }


def test_a_step_answers_one_chunk_and_shows_what_it_wrote():
    env = started(budget=100)
    observation, _, terminated, truncated, info = env.step(
        [Operation("update", "core", "Ann cycles"), fact("red bicycle", timestamp="2024-05-01"), Operation("noop")]
    )
    assert observation["chunk"].startswith("Ann: My sister Ines")
    assert observation["progress"].tolist() == [1, 3]
    assert observation["core"] == "Ann cycles"
    assert observation["entries"] == ({"id": 1, "store": 2, "text": "red bicycle", "timestamp": "2024-05-01"},)
    assert observation["budget_left"].tolist() == [510, -1, -1, 96]
    assert (terminated, truncated) == (False, False)
    assert info["tokens"] == {"core": 2, "episodic": 0, "semantic": 2, "total": 4}
    assert [done["status"] for done in info["operations"]] == ["ok"] * 3
    assert [done["result_id"] for done in info["operations"]] == [0, 1, None]


def test_an_entry_without_a_date_of_its_own_has_that_of_the_chunk():
    observation = started().step([fact("red bicycle")])[0]
    assert observation["entries"][0]["timestamp"] == "2024-05-01T09:00"


def test_what_is_written_keeps_the_turns_it_came_from():
    env = started()
    env.step([fact("Ann bought a red bicycle in Bern"), fact("weather was lovely again"), fact("Unrelated invention")])
    assert [entry.sources for entry in env.bank.entries()] == [("t0",), ("t1",), ()]


def test_a_quote_keeps_a_line_of_the_chunk_word_for_word_with_its_turn_as_source():
    env = started()
    info = env.step([Operation("insert", "episodic", quote=2), Operation("insert", "semantic", quote=1)])[-1]
    entries = [(entry.store, entry.text, entry.sources, entry.timestamp) for entry in env.bank.entries()]
    assert entries == [
        ("episodic", "Ann: Lovely weather again.", ("t1",), "2024-05-01T09:00"),
        ("semantic", "Ann: I bought a red bicycle in Bern.", ("t0",), "2024-05-01T09:00"),
    ]
    assert [done["text"] for done in info["operations"]] == [text for _, text, _, _ in entries]


def test_a_quote_is_dated_by_its_own_turn():
    turns = (Turn("t0", "Ann", "One.", "2024-05-01T09:00"), Turn("t1", "Ann", "Two.", "2024-05-20T09:00"))
    env = started(Episode("story", "scripted", "test", (Chunk(0, turns),), ()))
    env.step([Operation("insert", "episodic", quote=2)])
    assert [entry.timestamp for entry in env.bank.entries()] == ["2024-05-20T09:00"]


def test_quotes_count_the_lines_that_are_seen_also_within_a_turn():
    env = started(make_episode(["One.\nTwo.", "Three."]))
    assert env.observation()["chunk"].split("\n") == ["Ann: One.", "Two.", "Ann: Three."]
    env.step([Operation("insert", "semantic", quote=number) for number in (2, 3, 4)])
    assert [(entry.text, entry.sources) for entry in env.bank.entries()] == [
        ("Two.", ("t0",)),
        ("Ann: Three.", ("t1",)),
    ]


def test_after_the_last_chunk_the_stream_is_empty_and_the_exam_is_held():
    env = started(make_episode(["One."], ["Two."]))
    env.step([])
    observation, reward, terminated, truncated, info = env.step([])
    assert (terminated, truncated) == (True, False)
    assert (observation["chunk"], observation["timestamp"]) == ("", "")
    assert observation["progress"].tolist() == [2, 2]
    assert info["exam"] == {"score": 0.0, "answers": []}
    assert reward == 0.0


def test_only_the_newest_entries_of_each_store_are_shown_in_the_order_of_their_ids():
    env = started(shown=2)
    env.step([*(fact(f"fact {n}") for n in range(4)), Operation("insert", "episodic", "event")])
    observation = env.step([Operation("update", "semantic", "fact zero", entry_id=1)])[0]
    assert [entry["id"] for entry in observation["entries"]] == [1, 4, 5]


def test_relevant_entries_are_those_that_share_words_with_the_chunk():
    env = started(show="relevant", shown=1)
    observation = env.step([fact("Ines is a baker"), fact("the moon is far"), fact("Ines")])[0]
    assert [entry["text"] for entry in observation["entries"]] == ["Ines is a baker"]


def test_nothing_is_shown_of_zero_entries():
    assert started(shown=0).step([fact("tea")])[0]["entries"] == ()


# --- searching ---


def test_a_search_stays_on_the_chunk_and_the_next_observation_carries_what_it_found():
    env = started()
    env.step([fact("red bicycle"), fact("two cats")])
    observation, _, terminated, _, info = env.step([SEARCH])
    assert observation["progress"].tolist() == [1, 3]
    assert observation["results"] == ("search 'bicycle':\n#1 2024-05-01T09:00 red bicycle",)
    assert info["operations"][0]["found"] == [1]
    assert not terminated
    observation = env.step([])[0]
    assert observation["progress"].tolist() == [2, 3]
    assert observation["results"] == ()


def test_a_search_that_finds_nothing_says_so():
    assert started().step([SEARCH])[0]["results"] == ("search 'bicycle':\nnothing found",)


@pytest.mark.parametrize("most", [1, 2, 4])
def test_an_agent_that_only_searches_moves_on_after_the_steps_it_has(most):
    env = started(max_steps_per_chunk=most)
    seen, terminated = [], False
    while not terminated:
        observation, _, terminated, _, _ = env.step([SEARCH])
        seen.append(int(observation["progress"][0]))
        assert observation["results"], "even the last search of a chunk is answered"
    assert seen == [step // most for step in range(1, 3 * most + 1)]


def test_operations_beside_a_search_are_carried_out_at_once():
    observation = started().step([fact("red bicycle"), SEARCH])[0]
    assert observation["progress"].tolist() == [0, 3]
    assert [entry["text"] for entry in observation["entries"]] == ["red bicycle"]


def test_steps_on_a_chunk_are_counted_anew_on_the_next():
    env = started(max_steps_per_chunk=2)
    moves = [int(env.step(action)[0]["progress"][0]) for action in ([SEARCH], [SEARCH], [SEARCH], [], [SEARCH])]
    assert moves == [0, 1, 1, 2, 2]


@pytest.mark.parametrize("refused", [Operation("search", text=" "), Operation("search", "core", "tea")])
def test_a_search_that_failed_stays_too_and_its_reason_can_be_read(refused):
    env = started(max_steps_per_chunk=2)
    observation = env.step([refused])[0]
    assert observation["progress"].tolist() == [0, 3]
    assert len(observation["results"]) == 1 and observation["results"][0].startswith("failed search: ")
    assert env.step([refused])[0]["progress"].tolist() == [1, 3]


def test_a_search_beyond_the_operations_of_a_step_does_not_stay():
    observation, *_, info = started(max_operations=1).step([fact("tea"), SEARCH])
    assert observation["progress"].tolist() == [1, 3]
    assert info["operations"][1]["code"] == "limit"


# --- failures ---


@pytest.mark.parametrize(("operation", "code"), FAILURES)
def test_a_failed_operation_changes_nothing_and_the_next_observation_says_why(operation, code):
    env = started(budget=40)
    env.step([fact("Ann has a red bicycle")])
    before = env.bank.state_hash()
    observation, *_, info = env.step([operation])
    assert env.bank.state_hash() == before
    (done,) = info["operations"]
    assert (done["status"], done["code"]) == ("failed", code)
    assert observation["results"] == (f"failed {operation.kind}: {done['reason']}",)
    assert env.step([])[0]["results"] == ()


def test_the_others_of_a_step_are_carried_out_all_the_same():
    env = started()
    info = env.step([fact("one"), Operation("delete", "semantic", entry_id=9), fact("two")])[-1]
    assert [done["status"] for done in info["operations"]] == ["ok", "failed", "ok"]
    assert [entry.id for entry in env.bank.entries()] == [1, 2]


def test_operations_beyond_the_limit_of_a_step_fail_and_are_told_the_limit():
    env = started(max_operations=2)
    observation, *_, info = env.step([fact(f"fact {n}") for n in range(4)])
    assert [done["code"] for done in info["operations"]] == ["", "", "limit", "limit"]
    assert observation["results"] == ("failed insert: only 2 operations are carried out per step",) * 2
    assert len(env.bank.entries()) == 2


def test_an_over_budget_write_says_by_how_much():
    observation = started(budget=3).step([fact("one two three four five")])[0]
    assert "over the total budget by 2 tokens" in observation["results"][0]


def test_a_model_s_half_characters_and_giant_numbers_are_no_exception():
    env = started()
    broken = [fact("half \ud83d"), Operation("delete", "semantic", entry_id=10**40), Operation("search", text="\ud83d")]
    observation, *_, info = env.step(broken)
    assert [done["status"] for done in info["operations"]] == ["failed", "failed", "ok"]
    assert "".join(observation["results"]).encode()


@pytest.mark.parametrize("action", [None, "+ tea", [5], [fact("tea"), fact(5)], [fact("tea"), {"kind": 9}]])
def test_a_programmer_s_wrong_type_raises_before_anything_is_done(action):
    env = started()
    with pytest.raises(TypeError):
        env.step(action)
    assert env.bank.entries() == []
    assert env.step([])[0]["progress"].tolist() == [1, 3]


# --- nothing is shared ---


def spoil(value):
    """Changes whatever in an observation or info can be changed."""
    if isinstance(value, dict):
        for item in list(value.values()):
            spoil(item)
        value["spoilt"] = True
    elif isinstance(value, tuple):
        for item in value:
            spoil(item)
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoilt")
    elif isinstance(value, np.ndarray):
        value[...] = 77


def test_spoiling_what_was_returned_changes_nothing_that_comes_after():
    script = [
        [fact("red bicycle"), fact("red bicycle")],
        [SEARCH],
        [Operation("update", "core", "Ann")],
        [fact("Moss")],
    ]
    clean, spoilt = make_env(tea_story(), question_visible=True), make_env(tea_story(), question_visible=True)
    kept = [clean.reset(seed=1)]
    returned = spoilt.reset(seed=1)
    for action in script:
        assert same(returned, kept[-1])
        spoil(returned)
        kept.append(clean.step(action))
        returned = spoilt.step(action)
    assert same(returned, kept[-1])
    assert kept[-1][2] is True


def test_two_looks_at_the_same_observation_share_nothing_either():
    env = started(question_visible=True)
    env.step([fact("red bicycle"), SEARCH])
    first, second = env.observation(), env.observation()
    spoil(first)
    assert same(second, env.observation())


def test_infos_are_plain_json_types():
    def check(value):
        if isinstance(value, Mapping):
            assert all(isinstance(key, str) for key in value)
            list(map(check, value.values()))
        elif isinstance(value, list):
            list(map(check, value))
        else:
            assert value is None or type(value) in (str, int, float, bool), type(value)

    env = started()
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step([fact("Moss is a cat"), fact("Moss is a cat")])
        check(info)
    assert info["exam"]["answers"]


# --- rewards ---


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_step_pays_its_share_of_the_weighted_terms_in_its_info(recipe):
    env = started(reward=recipe)
    terminated, names = False, set()
    while not terminated:
        _, reward, terminated, _, info = env.step([fact("Ann bought a red bicycle"), fact("nonsense syllables")])
        terms = info["reward_terms"]
        own = env.recipe.total({name: terms[name] for name in env.recipe.step_terms})
        ending = env.recipe.total({name: value for name, value in terms.items() if name in env.recipe.episode_terms})
        assert reward == pytest.approx(own / 3 + ending)
        names |= set(terms)
    assert names == set(env.recipe.step_terms) | set(env.recipe.episode_terms)


@pytest.mark.parametrize("chunks", [1, 4, 30])
def test_the_same_mistake_at_every_chunk_costs_the_same_however_long_the_stream_is(chunks):
    env = started(make_episode(*[["Hm."]] * chunks))
    rewards = [env.step([Operation("delete", "semantic", entry_id=9)])[1] for _ in range(chunks)]
    assert sum(rewards) == pytest.approx(-0.1)


def test_with_the_default_recipe_a_silent_agent_is_paid_its_exam_alone():
    env = started()
    assert [env.step([])[1] for _ in range(2)] == [0.0, 0.0]
    _, reward, _, _, info = env.step([])
    assert reward == info["exam"]["score"]
