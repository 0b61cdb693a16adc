"""An environment's memory is searched the way its settings say."""

import sys
from types import ModuleType

import numpy as np
import pytest

from memgym.envs.memory_r1_answer import MemoryR1AnswerEnv
from memgym.memory.operations import Operation
from memgym.tasks.task import EpisodeList
from tests.scripted import FakeReader, fact, make_chat, make_env, make_episode, make_question, make_vector, tea_story


class Synonyms:
    """Bicycles are bikes."""

    name, dimension = "synonyms", 2

    def encode(self, texts):
        return np.array([["bi" in text, "bi" not in text] for text in texts], dtype=float)


@pytest.fixture
def by_path(monkeypatch):
    module = ModuleType("synonym_encoders")
    module.Synonyms = Synonyms
    monkeypatch.setitem(sys.modules, "synonym_encoders", module)
    return "synonym_encoders:Synonyms"


def found(env):
    """Entries that a search for "bicycle" finds."""
    env.reset(seed=0)
    info = env.step([fact("cat"), fact("bike"), Operation("search", text="bicycle")])[-1]
    return info["operations"][-1]["found"]


def test_search_is_by_words_alone_unless_an_encoder_is_given(by_path):
    assert found(make_env(tea_story())) == []
    assert found(make_env(tea_story(), encoder=by_path)) == [2, 1]
    assert found(make_env(tea_story(), encoder=Synonyms(), retrieval="dense")) == [2, 1]
    assert found(make_env(tea_story(), encoder=by_path, retrieval="bm25")) == []


def test_a_vector_environment_shares_one_encoder(by_path):
    env = make_vector(tea_story("a"), tea_story("b"), num_envs=2, encoder=by_path)
    env.reset(seed=0)
    first, second = (single.bank._storage._encoder for single in env.envs)
    assert first is second
    env.close()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"retrieval": "hybrid"}, "retrieval='hybrid' needs an encoder"),
        ({"retrieval": "exact"}, "retrieval='exact': expected one of bm25, dense, hybrid"),
        ({"encoder": "minilm"}, "encoder 'minilm': expected MODULE:CLASS of an encoder"),
    ],
)
def test_settings_that_cannot_be_are_refused_when_the_environment_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        make_env(tea_story(), **settings)


# --- In the answer environment ---

ASKED = EpisodeList("chats", [make_chat(9, [make_question("What of 4?", "4 metres")])])


def numbers_shown(**settings):
    """The numbers of the memories that are shown for a question about number 4, of either speaker the best first."""
    observation, _ = MemoryR1AnswerEnv(source=ASKED, memories=4, **settings).reset(seed=0)
    return [int(memory["text"].split()[2]) for memory in observation["memories"]]


def test_an_answer_environment_searches_an_entry_s_neighbours_too():
    assert numbers_shown() == [4, 8, 7, 5]  # one is found; the newest follow
    assert numbers_shown(neighbours=1) == [4, 8, 3, 5]  # 3 and 5 stand beside it


def test_the_memory_of_either_environment_has_calendar_dates_if_it_is_asked_to():
    story = make_episode(["I ran yesterday."], questions=[make_question("Who ran?", "Ann", "t0")])
    dated = "Ann: I ran yesterday (30 April 2024)."
    env = make_env(story, calendar_dates=True, reader=(reader := FakeReader()))
    env.reset()
    env.step([Operation("insert", "episodic", quote=1)])
    assert [entry.text for entry in reader.batches[0][0].context] == [dated]
    answer = MemoryR1AnswerEnv(source=EpisodeList("chats", [story]), calendar_dates=True)
    assert [memory["text"] for memory in answer.reset(seed=0)[0]["memories"]] == [dated]


def test_an_answer_environment_says_how_it_retrieves():
    settings = MemoryR1AnswerEnv(source=ASKED, memories=4, neighbours=2, reward="f1").config.in_effect()
    assert {name: settings[name] for name in ("memories", "retrieval", "encoder", "neighbours", "reward")} == {
        **{"memories": 4, "retrieval": "bm25", "encoder": None, "neighbours": 2, "reward": "f1"}
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"neighbours": -1}, "neighbours=-1: expected a whole number of at least 0"),
        ({"memories": 0}, "memories=0: expected at least 1"),
        ({"retrieval": "exact"}, "retrieval='exact': expected one of bm25, dense, hybrid"),
    ],
)
def test_what_no_answer_environment_can_search_by_is_refused_when_it_is_made(settings, message):
    with pytest.raises(ValueError, match=message):
        MemoryR1AnswerEnv(source=ASKED, **settings)
