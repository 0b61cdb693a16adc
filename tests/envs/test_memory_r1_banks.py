"""Where the memory of an answer environment may come from: rules, a policy, its record, exported banks."""

import random

import gymnasium
import pytest

from agents.baselines.recency import Recency
from memgym.envs.memory_r1_answer import MemoryR1AnswerEnv
from memgym.envs.vector import MemoryVectorEnv
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Operation
from memgym.preparers import ExportedBanks, PolicyBanks, RecordedBanks, make_preparer
from memgym.protocol import describe_env
from memgym.records import Manifest, TrajectoryWriter
from memgym.rollout import Decision, rollout
from memgym.tasks.evidence_turns import EvidenceTurns
from memgym.tasks.prepared import bank_memories, verbatim_sentences, verbatim_turns
from memgym.tasks.task import EpisodeList
from tests.scripted import FakeReader, fact, make_vector, tea_story, write_custom

STORIES = [tea_story("a", days=1), tea_story("b"), tea_story("c", days=2)]
SOURCE = EpisodeList("stories", STORIES)


class Editor:
    """Writes, rewrites, deletes, searches and fails; never the same text twice in a dialogue."""

    name = "editor"
    env_overrides = {"max_steps_per_chunk": 2}  # noqa: RUF012

    def __init__(self) -> None:
        self.calls = 0

    def act(self, observations, episodes):
        self.calls += 1
        return [self._decide(observation, int(observation["progress"][0])) for observation in observations]

    def _decide(self, observation, chunk):
        if not observation["results"]:
            return Decision((Operation("search", text="Ann"), fact(f"Part {chunk}: {observation['chunk'][:9]}")))
        return Decision(
            (
                Operation("insert", "episodic", quote=1),
                Operation("update", "core", f"Read {chunk + 1} parts"),
                Operation("delete", "semantic", entry_id=2 * chunk),
                Operation("insert", "attic", "lost"),
                fact("too long " * 40),
            )
        )


def run(policy, num_envs=3) -> tuple[MemoryVectorEnv, list]:
    env = make_vector(*STORIES, num_envs=num_envs, budget=60, reader=FakeReader(), **policy.env_overrides)
    return env, rollout(env, policy, [0, 1, 2])


def banks(env) -> list:
    return [bank_memories(single.bank) for single in env.envs]


def test_turns_word_for_word_are_the_default():
    env = MemoryR1AnswerEnv(source=SOURCE)
    env.reset(options={"episode": 0})
    assert [memory["text"] for memory in env.observation()["memories"]] == [
        "Ann: I bought a red bicycle in Bern.",
        "Ann: Lovely weather again.",
    ]


def test_a_policy_builds_the_memory_it_would_build_in_a_memory_environment():
    env, _ = run(Editor())
    expected = banks(env)
    assert all(len(memories) > 2 for memories in expected), "the comparison must be about something"
    assert PolicyBanks(Editor(), budget=60)(STORIES) == expected
    assert PolicyBanks(Editor(), budget=60, num_envs=2)(STORIES) == expected


def test_what_a_policy_has_built_is_kept():
    policy = Editor()
    prepare = PolicyBanks(policy)
    first = prepare(STORIES)
    calls = policy.calls
    assert prepare([STORIES[2], STORIES[0], STORIES[2]]) == [first[2], first[0], first[2]]
    assert policy.calls == calls


def test_histories_of_one_dialogue_are_told_apart_and_an_empty_one_is_an_empty_memory():
    task = EvidenceTurns(SOURCE, prepare=PolicyBanks(Recency(), budget=30))
    memories = {task.episode(index).id: [m.text for m in task.episode(index).memory] for index in range(task.size)}
    assert memories["a/t0"] == []
    assert memories["b/t4"] == [
        "Ann: Lovely weather again.",
        "Ann: My sister Ines works as a baker.",
        "Ann: So it goes.",
    ]


def test_a_record_gives_the_memory_it_left_behind_whatever_its_settings_were():
    env, trajectories = run(Editor())
    assert {operation["code"] for t in trajectories for s in t.steps for operation in s.operations} >= {
        "unknown_store",
        "over_budget",
        "unknown_id",
    }
    assert RecordedBanks(trajectories)(STORIES) == banks(env)


class Diary:
    """Writes the same words every day, and corrects its last entry."""

    name = "diary"
    env_overrides = {}  # noqa: RUF012

    def act(self, observations, episodes):
        return [
            Decision((fact("I ran yesterday."), Operation("update", text=f"Last: {chunk}", entry_id=chunk + 1)))
            for chunk in (int(observation["progress"][0]) for observation in observations)
        ]


def test_a_record_with_calendar_dates_is_redone_with_them_by_its_manifest(tmp_path):
    stories = write_custom(tmp_path / "stories.jsonl", *STORIES)
    env = gymnasium.make_vec("memgym/Custom-v0", num_envs=3, path=stories, split="test", calendar_dates=True).unwrapped
    with TrajectoryWriter(tmp_path / "run" / "trajectories.jsonl") as writer:
        for trajectory in rollout(env, Diary(), [0, 1, 2]):
            writer.write(trajectory)
    Manifest("test", "memgym/Custom-v0", {}, "diary", 0, **describe_env(env)).write(tmp_path / "run" / "manifest.yaml")
    expected = banks(env)
    assert make_preparer(str(tmp_path / "run"), SOURCE)(STORIES) == expected
    assert make_preparer(str(tmp_path / "run" / "trajectories.jsonl"), SOURCE)(STORIES) == expected


def test_a_record_must_be_of_the_dialogue_and_its_chunks():
    _, trajectories = run(Editor())
    prepare = RecordedBanks(trajectories[:2])
    with pytest.raises(ValueError, match="no trajectory of 'c' was recorded, only of a, b"):
        prepare([STORIES[2]])
    with pytest.raises(ValueError, match="the trajectory of 'b' is over 3 chunks, here are 2: use the chunking"):
        prepare([tea_story("b", days=2)])
    with pytest.raises(ValueError, match="two trajectories of 'a': expected one per dialogue"):
        RecordedBanks([trajectories[0], trajectories[0]])


def test_exported_banks_are_read_by_dialogue(tmp_path):
    with MemoryBank() as bank:
        bank.insert("semantic", "Ann's bicycle is red.", timestamp="2024-05-01", sources=["t0"])
        bank.update("core", "Ann cycles.")
        bank.export_jsonl(tmp_path / "a.jsonl")
        expected = bank_memories(bank)
    assert ExportedBanks(tmp_path)([STORIES[0]]) == [expected]
    with pytest.raises(ValueError, match=r"no file .*b\.jsonl: expected the exported bank of dialogue 'b'"):
        ExportedBanks(tmp_path)([STORIES[1]])


# --- by name, as in a config ---


def test_records_and_banks_are_named_by_their_path(tmp_path):
    env, trajectories = run(Editor())
    with TrajectoryWriter(tmp_path / "run" / "trajectories.jsonl") as writer:
        for trajectory in trajectories:
            writer.write(trajectory)
    for path in (tmp_path / "run", tmp_path / "run" / "trajectories.jsonl"):
        assert make_preparer(str(path), SOURCE)(STORIES) == banks(env)
    exported = make_preparer(str(tmp_path), SOURCE)
    assert isinstance(exported, ExportedBanks)
    assert make_preparer("turns", SOURCE) is verbatim_turns
    assert make_preparer("sentences", SOURCE) is verbatim_sentences
    assert make_preparer(exported, SOURCE) is exported


def test_a_name_of_nothing_is_refused():
    with pytest.raises(ValueError, match="bank='attic': expected turns, sentences, facts, annotations, the folder of"):
        make_preparer("attic", SOURCE)
    with pytest.raises(ValueError, match="bank='facts': the dialogues of 'stories' come without gold memories"):
        make_preparer("facts", SOURCE)


def test_an_environment_is_made_from_a_record_by_its_path(tmp_path):
    stories = write_custom(tmp_path / "stories.jsonl", *STORIES)
    _, trajectories = run(Editor())
    with TrajectoryWriter(tmp_path / "trajectories.jsonl") as writer:
        for trajectory in random.Random(0).sample(trajectories, 3):
            writer.write(trajectory)
    env = gymnasium.make(
        "memgym/MemoryR1Answer-v0",
        source="memgym/Custom-v0",
        split="test",
        source_kwargs={"path": str(stories)},
        bank=str(tmp_path / "trajectories.jsonl"),
    )
    observation, info = env.reset(options={"episode": 3})
    assert info["episode_id"].startswith("c/")
    assert observation["core"] == "Read 2 parts"
