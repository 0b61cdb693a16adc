"""memgym/MemoryR1Manager-v0: one turn, a memory of the turns before it, the questions about it."""

import json
from dataclasses import replace

import gymnasium
import pytest

from memgym.envs.memory_r1_manager import MemoryR1ManagerEnv, make_vector
from memgym.envs.tools import MemoryToolEnv
from memgym.memory.operations import Operation
from memgym.rewards import memory_r1
from memgym.rollout import rollout
from memgym.tasks.episode import GoldMemory
from memgym.tasks.evidence_turns import WINDOW, EvidenceTurns
from memgym.tasks.task import EpisodeList
from tests.scripted import FakeReader, Scripted, make_chat, make_question, same, write_custom, write_locomo

CHAT = make_chat(
    80,
    [
        make_question("How long is number 61?", "61 metres", "t61", "t5"),
        make_question("And number 5?", "5 metres", "t5"),
        make_question("Which is longest?", "number 79", "t79", "t61", "t61"),
        make_question("Number 70?", "?", "t70", answerable=False),
        make_question("Who is it?", "Ulla"),
    ],
)
UPDATE = Operation("update", "episodic", "Ulla: Number 60 is now 6 metres long.", entry_id=50)


def turns(*questions, **settings) -> EvidenceTurns:
    chat = replace(CHAT, questions=questions) if questions else CHAT
    return EvidenceTurns(EpisodeList("chats", [chat]), **settings)


def make_env(**settings) -> MemoryR1ManagerEnv:
    return MemoryR1ManagerEnv(source=EpisodeList("chats", [CHAT]), split=None, **settings)


def texts(episode) -> list[str]:
    return [memory.text for memory in episode.memory]


def number(n: int) -> str:
    return f"{'Ulla' if n % 2 == 0 else 'Per'}: Number {n} is {n} metres long."


# --- the task ---


def test_episodes_are_the_evidence_turns_in_the_order_of_the_stream():
    task = turns()
    assert task.size == 3
    episodes = [task.episode(index) for index in range(3)]
    assert [episode.id for episode in episodes] == ["chat/t5", "chat/t61", "chat/t79"]
    assert [[chunk.text for chunk in episode.chunks] for episode in episodes] == [[number(n)] for n in (5, 61, 79)]
    assert [chunk.index for episode in episodes for chunk in episode.chunks] == [0, 0, 0]


def test_the_questions_of_a_turn_are_those_whose_evidence_names_it():
    task = turns()
    asked = [[question.text for question in task.episode(index).questions] for index in range(3)]
    assert asked == [
        ["How long is number 61?", "And number 5?"],
        ["How long is number 61?", "Which is longest?"],
        ["Which is longest?"],
    ]
    assert task.episode(0).questions[0] is CHAT.questions[0], "a question is asked as it is, other evidence included"


def test_the_memory_holds_the_window_of_turns_before_over_the_ends_of_sessions():
    assert WINDOW == 50
    task = turns()
    assert texts(task.episode(0)) == [number(n) for n in range(5)], "fewer at the beginning"
    assert texts(task.episode(1)) == [number(n) for n in range(11, 61)]
    assert [memory.turn_ids for memory in task.episode(1).memory] == [(f"t{n}",) for n in range(11, 61)]
    assert task.episode(1).memory[0].timestamp == "2024-05-02T09:00"


@pytest.mark.parametrize(("window", "first"), [(0, 61), (1, 60), (24, 37), (None, 0)])
def test_the_window_can_be_another(window, first):
    assert texts(turns(window=window).episode(1)) == [number(n) for n in range(first, 61)]


def test_a_first_turn_that_is_evidence_has_no_memory():
    assert turns(make_question("First?", "0", "t0")).episode(0).memory == ()


def test_a_window_replay_begins_empty_and_has_one_chunk_per_turn():
    episode = turns(window=4, replay=True).episode(1)
    assert episode.memory == ()
    assert [chunk.text for chunk in episode.chunks] == [number(n) for n in range(57, 62)]
    assert [chunk.index for chunk in episode.chunks] == list(range(5))
    assert [question.text for question in episode.questions] == ["How long is number 61?", "Which is longest?"]


@pytest.mark.parametrize(
    "questions", [[make_question("Who?", "Ulla")], [make_question("?", "?", "t1", answerable=False)]]
)
def test_a_task_without_such_turns_is_refused(questions):
    message = "'chats-turns': the 1 dialogues of 'chats' hold no turn that is evidence of an answerable question"
    with pytest.raises(ValueError, match=message):
        turns(*questions)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_are_no_other_episodes(index):
    with pytest.raises(IndexError, match=f"episode index {index}: task 'chats-turns' has 3 episodes, from 0"):
        turns().episode(index)


def test_a_window_of_fewer_than_no_turns_is_refused():
    with pytest.raises(ValueError, match="window=-1: expected a number of turns, 0 or more, or None for all"):
        turns(window=-1)


def test_facts_come_from_turns_before_and_what_the_turn_outdates_is_still_there():
    facts = (
        GoldMemory("Number 60 is short.", ("t60",)),
        GoldMemory("Number 60 is long.", ("t61",), supersedes=0),
        GoldMemory("Number 5 is short.", ("t5",)),
    )
    source = EpisodeList("chats", [replace(CHAT, gold_memories=facts)])
    task = MemoryR1ManagerEnv(source=source, bank="facts").task
    assert [texts(task.episode(index)) for index in range(3)] == [[], ["Number 60 is short."], ["Number 60 is long."]]
    assert [memory.store for memory in task.episode(1).memory] == ["semantic"]


# --- the environment ---


def test_an_episode_is_one_decision_on_a_memory_made_beforehand():
    reader = FakeReader(lambda task: "number 79")
    env = make_env(reader=reader, budget=2000)
    observation, info = env.reset(options={"episode": 2})
    assert observation["chunk"] == number(79)
    assert observation["progress"].tolist() == [0, 1]
    assert info["episode_id"] == "chat/t79"
    assert [entry.text for entry in env.bank.entries()] == [number(n) for n in range(29, 79)]
    _, reward, terminated, truncated, info = env.step([replace(UPDATE, entry_id=1)])
    assert (reward, terminated, truncated) == (1.0, True, False)
    assert info["operations"][0]["status"] == "ok"
    assert [task.question for task in reader.batches[0]] == ["Which is longest?"]


def test_the_entries_shown_are_those_that_the_turn_is_about():
    source = EpisodeList("chats", [make_chat(12, [make_question("?", "!", "t11")])])
    env = MemoryR1ManagerEnv(source=source, shown=1)
    # Turn t11 is Per's: his turns share one more word with it than Ulla's, and of equals the first is shown.
    assert [entry["text"] for entry in env.reset(seed=0)[0]["entries"]] == [number(1)]
    assert MemoryR1ManagerEnv(source=source, show="recent", shown=1).reset(seed=0)[0]["entries"][0]["text"] == number(
        10
    )


def test_under_a_budget_the_newest_turns_are_kept():
    env = make_env(budget=30)
    observation, _ = env.reset(options={"episode": 2})
    assert [entry.text for entry in env.bank.entries()] == [number(n) for n in (76, 77, 78)]
    assert observation["budget_left"][-1] == 30 - 3 * 9


@pytest.mark.parametrize(
    ("reward", "expected"),
    [("em", 0.5), ("f1", (1 + 0.5) / 2), ("em_else_f1", (1 + 0.5) / 2), (memory_r1(), 0.5), ("memory_r1", 0.5)],
)
def test_the_reward_is_the_mean_over_the_linked_questions(reward, expected):
    # "61 metres" is right, "61 metres" against "number 79" shares nothing, against "5 metres" one word of two.
    env = make_env(reader=FakeReader(lambda task: "61 metres"), reward=reward)
    env.reset(options={"episode": 0})
    *_, info = env.step([])
    assert env.recipe.total(info["reward_terms"]) == pytest.approx(expected)
    assert set(info["reward_terms"]) == {"exact_match", "correctness", "em_else_f1"}


def test_em_else_f1_pays_f1_where_the_part_of_the_gold_that_is_scored_is_not_met_exactly():
    whole = "Likely no; she is afraid"
    chat = replace(CHAT, questions=(make_question("?", whole, "t9", metric="locomo_3"),))
    for answer, em, f1, both in (("Likely no", 1, 1, 1), (whole, 0, 4 / 7, 4 / 7), ("Yes", 0, 0, 0)):
        reader = FakeReader(lambda task, answer=answer: answer)
        env = MemoryR1ManagerEnv(source=EpisodeList("chats", [chat]), reader=reader, reward="em_else_f1")
        env.reset(seed=0)
        _, reward, _, _, info = env.step([])
        assert info["reward_terms"] == pytest.approx({"exact_match": em, "correctness": f1, "em_else_f1": both})
        assert reward == pytest.approx(both)


def test_an_unknown_reward_is_refused():
    with pytest.raises(ValueError, match="reward 'gold' is unknown"):
        make_env(reward="gold")
    with pytest.raises(ValueError, match=r"reward 'memory_r1\(f1\)' has no term f1"):
        memory_r1("f1")


def test_in_a_window_replay_the_policy_builds_the_memory_itself():
    env = make_env(window=2, replay=True)
    env.reset(options={"episode": 1})
    terminated, steps = False, 0
    while not terminated:
        *_, terminated, _, _ = env.step([Operation("insert", "episodic", quote=1)])
        steps += 1
    assert steps == 3
    assert [entry.text for entry in env.bank.entries()] == [number(n) for n in (59, 60, 61)]


def test_a_group_starts_from_equal_memories_that_are_each_its_own():
    vector = make_vector(4, source=EpisodeList("chats", [CHAT]))
    scripts = iter([[UPDATE], [], [Operation("delete", "episodic", entry_id=50)], []])

    class Each(Scripted):
        def act(self, observations, episodes):
            assert all(same(observation, observations[0]) for observation in observations)
            return [Scripted(next(scripts)).act([observation], [0])[0] for observation in observations]

    trajectories = rollout(vector, Each(), [1, 1, 1, 1])
    assert [len(env.bank.entries()) for env in vector.envs] == [50, 50, 49, 50]
    assert [env.bank.get(50) and env.bank.get(50).text for env in vector.envs] == [
        UPDATE.text,
        number(60),
        None,
        number(60),
    ]
    assert {trajectory.episode_id for trajectory in trajectories} == {"chat/t61"}


def test_tools_start_from_the_same_memory():
    env = make_env()
    tools = MemoryToolEnv(env)
    tools.reset(episode=1)
    env.reset(options={"episode": 1})
    assert tools.bank.state_hash() == env.bank.state_hash()


# --- sources ---


def test_every_memory_environment_is_a_source(tmp_path):
    custom = write_custom(tmp_path / "chats.jsonl", CHAT)
    env = gymnasium.make(
        "memgym/MemoryR1Manager-v0", source="memgym/Custom-v0", split="test", source_kwargs={"path": str(custom)}
    )
    assert env.unwrapped.task.size == 3
    locomo = write_locomo(tmp_path / "locomo10.json")
    env = gymnasium.make("memgym/MemoryR1Manager-v0", split="all", source_kwargs={"path": str(locomo)})
    assert [env.unwrapped.task.episode(index).id for index in range(4)] == [f"conv-{n}/D1:1" for n in (26, 30, 41, 42)]
    assert env.unwrapped.task.sha256


def test_an_endless_source_gives_one_turn_of_each_dialogue_always_the_same():
    settings = {"dialogue": {"chunks": 4, "turns_per_chunk": 4}}
    first, again = (MemoryR1ManagerEnv(source="memgym/Dialogue-v0", source_kwargs=settings).task for _ in range(2))
    assert first.size is None
    episodes = [first.episode(index) for index in range(40)]
    assert [again.episode(index) for index in reversed(range(40))] == episodes[::-1]
    assert len({episode.id for episode in episodes}) == 40
    assert len({len(episode.memory) for episode in episodes}) > 5, "turns of the beginning, the middle and the end"
    assert all(len(episode.chunks) == len(episode.chunks[0].turns) == 1 and episode.questions for episode in episodes)


def test_the_facts_of_an_endless_source_are_its_generator_s():
    env = MemoryR1ManagerEnv(source="memgym/Dialogue-v0", bank="facts")
    memory = next(episode.memory for index in range(20) if (episode := env.task.episode(index)).memory)
    assert all(entry.store == "semantic" and entry.turn_ids for entry in memory)


def test_an_endless_dialogue_without_evidence_says_so():
    settings = {"dialogue": {"chunks": 2, "categories": ["unanswerable"]}}
    env = MemoryR1ManagerEnv(source="memgym/Dialogue-v0", source_kwargs=settings)
    with pytest.raises(ValueError, match="dialogue 3 of 'dialogue' hold no turn that is evidence"):
        env.task.episode(3)


def test_a_source_must_be_a_memory_environment():
    with pytest.raises(ValueError, match="source='memgym/MemoryR1Answer-v0' is a MemoryR1AnswerEnv: expected a memory"):
        MemoryR1ManagerEnv(source="memgym/MemoryR1Answer-v0", source_kwargs={"source": "memgym/Dialogue-v0"})


def test_locomo_s_annotations_are_an_offline_extractor(tmp_path):
    file = write_locomo(tmp_path / "locomo10.json")
    records = json.loads(file.read_bytes())
    for record in records:
        record["observation"] = {
            "session_1_observation": {"Ulla": [["Ulla saw a boat.", "D1:1"]], "Per": [["Per agreed.", ["D1:2"]]]}
        }
        record["qa"][0]["evidence"] = ["D1:2"]
    file.write_text(json.dumps(records), encoding="utf-8")
    env = MemoryR1ManagerEnv(split="train", source_kwargs={"path": str(file)}, bank="annotations")
    (memory,) = env.task.episode(0).memory
    assert (memory.text, memory.turn_ids, memory.store) == ("Ulla saw a boat.", ("D1:1",), "semantic")
    assert memory.timestamp == "2023-03-01T09:00"
