"""Floors, ceilings and simple strategies do what their names say, under any budget."""

from collections import Counter

import gymnasium
import pytest

from agents import AGENTS, BASELINES, make_agent
from agents.base import Agent
from agents.baselines.recency import Recency
from memgym.envs.config import EnvConfig
from memgym.envs.vector import MemoryVectorEnv
from memgym.memory.budget import UNLIMITED, Budget, count_lexical_tokens
from memgym.replay import differences
from memgym.rollout import Trajectory, rollout
from memgym.tasks.episode import Episode
from tests.scripted import FakeReader, make_episode, make_question, make_vector

# Lines of 6 to 10 tokens, "Ann" and ":" included, all different.
LINES = [
    [f"word{chunk}{turn} " + "more " * ((chunk + 2 * turn) % 5) + "here now" for turn in range(4)] for chunk in range(5)
]
QUESTIONS = [
    make_question("Where is word01?", "here", "t1"),
    make_question("Where are word23 and word30?", "here", "t11", "t12"),
    make_question("Where is word30?", "here", "t12"),
    make_question("Where is word99?", "nowhere"),
]
STORY = make_episode(*LINES, questions=QUESTIONS)
BUDGETS = [0, 5, 9, 10, 40, 77, 1000]


def play(
    name: str, *episodes: Episode, reader=None, indices=(0,), **config
) -> tuple[MemoryVectorEnv, list[Trajectory]]:
    """A baseline in the environment it asks for."""
    vector = make_vector(*(episodes or (STORY,)), num_envs=len(indices), reader=reader or FakeReader(), **config)
    agent = make_agent(name, task=vector.task)
    vector = make_vector(
        *(episodes or (STORY,)),
        num_envs=len(indices),
        **{"reader": reader or FakeReader(), **config, **agent.env_overrides},
    )
    return vector, rollout(vector, agent, indices)


def held(vector: MemoryVectorEnv) -> list[str]:
    return [entry.text for entry in vector.envs[0].bank.entries()]


def lines(episode: Episode = STORY) -> list[str]:
    return [turn.line for turn in episode.turns]


def failures(trajectory: Trajectory) -> Counter:
    return Counter(op["code"] for step in trajectory.steps for op in step.operations if op["status"] == "failed")


# --- what each keeps ---


@pytest.mark.parametrize("name", ["no_memory", "full_context"])
def test_an_agent_without_memory_writes_nothing(name):
    _, (trajectory,) = play(name)
    assert trajectory.memory_tokens == 0
    assert all(step.operations == [] for step in trajectory.steps)


@pytest.mark.parametrize("limit", BUDGETS)
def test_recency_holds_exactly_the_newest_suffix_that_fits(limit):
    vector, (trajectory,) = play("recency", budget=limit)
    suffix, room = [], limit
    for line in reversed(lines()):
        room -= count_lexical_tokens(line)
        if room < 0:
            break
        suffix.insert(0, line)
    assert held(vector) == suffix
    assert failures(trajectory) == {}


@pytest.mark.parametrize("limit", BUDGETS)
def test_recency_holds_the_newest_suffix_at_every_chunk(limit):
    _, (trajectory,) = play("recency", budget=limit)
    for number, step in enumerate(trajectory.steps):
        sizes = [count_lexical_tokens(f"Ann: {text}") for chunk in LINES[: number + 1] for text in chunk]
        kept = next((n for n in range(len(sizes)) if sum(sizes[n:]) <= limit), len(sizes))
        assert step.tokens["total"] == sum(sizes[kept:])


def test_recency_makes_room_for_calendar_dates_where_they_are_stored():
    story = make_episode(*[[f"I ran yesterday, {day}."] for day in range(20)])
    agent = Recency(calendar_dates=True)
    env = make_vector(story, reader=FakeReader(), budget=40, calendar_dates=True, **agent.env_overrides)
    (trajectory,) = rollout(env, agent, [0])
    assert not failures(trajectory)
    assert [text.split()[-1] for text in held(env)] == ["17.", "18.", "19."]


def test_recency_keeps_nothing_older_than_a_line_that_does_not_fit():
    story = make_episode(["old"], ["far too long " * 9, "new"])
    vector, _ = play("recency", story, budget=7)
    assert held(vector) == ["Ann: new"]


@pytest.mark.parametrize("limit", BUDGETS)
def test_append_all_keeps_the_oldest_lines_in_order_as_long_as_each_fits(limit):
    vector, (trajectory,) = play("append_all", budget=limit)
    kept, room = [], limit
    for line in lines():
        if count_lexical_tokens(line) <= room:
            room -= count_lexical_tokens(line)
            kept.append(line)
    assert held(vector) == kept
    prefix = next((n for n, pair in enumerate(zip(kept, lines(), strict=False)) if pair[0] != pair[1]), len(kept))
    assert held(vector)[:prefix] == lines()[:prefix]
    assert set(failures(trajectory)) <= {"over_budget"}


def test_without_a_budget_append_all_and_recency_keep_the_whole_stream():
    for name in ("append_all", "recency"):
        vector, (trajectory,) = play(name)
        assert held(vector) == lines()
        assert trajectory.memory_tokens == trajectory.stream_tokens


@pytest.mark.parametrize("name", ["recency", "random", "oracle", "append_all"])
def test_a_limit_of_the_episodic_store_counts_as_one_of_the_whole(name):
    total, _ = play(name, budget=40)
    episodic, (trajectory,) = play(name, budget=Budget(episodic=40))
    both, _ = play(name, budget=Budget(episodic=40, total=900))
    assert held(episodic) == held(total) == held(both) != []
    if name != "append_all":
        assert "over_budget" not in failures(trajectory)


def test_random_repeats_with_its_seed_and_differs_between_seeds_and_episodes():
    episodes = [make_episode(*LINES, id_=name) for name in ("a", "b")]

    def kept(seed, *indices):
        vector = make_vector(*episodes, num_envs=2, budget=60, shown=1 << 20, max_operations=1 << 20)
        done = rollout(vector, make_agent("random", task=vector.task, seed=seed), list(indices))
        return {t.episode: [op["text"] for step in t.steps for op in step.operations] for t in done}

    first = kept(1, 0, 1)
    assert kept(1, 1, 0) == first
    assert first[0] != first[1]
    assert kept(2, 0, 1) != first


def test_random_fills_about_its_budget_and_spreads_over_the_stream():
    chunks = [[f"line {chunk} {turn} with a few words" for turn in range(6)] for chunk in range(10)]
    episodes = [make_episode(*chunks, id_=f"e{n}") for n in range(30)]
    size = count_lexical_tokens(f"Ann: {chunks[0][0]}")
    budget = size * 20  # a third of the stream
    vector = make_vector(
        *episodes, num_envs=30, budget=budget, shown=1 << 20, max_operations=1 << 20, reader=FakeReader()
    )
    trajectories = rollout(vector, make_agent("random", task=vector.task), range(30))
    fill = sum(t.memory_tokens for t in trajectories) / 30 / budget
    assert 0.85 <= fill <= 1.0
    written = Counter(
        step.chunk for t in trajectories for step in t.steps for op in step.operations if op["status"] == "ok"
    )
    assert all(written[chunk] >= 0.5 * 30 * 2 for chunk in range(10)), "a third of six lines is two a chunk"


def test_random_keeps_half_where_nothing_limits_it():
    episodes = [make_episode(*LINES, id_=f"e{n}") for n in range(20)]
    _, trajectories = play("random", *episodes, indices=range(20))
    share = sum(len(step.operations) for t in trajectories for step in t.steps) / (20 * 20)
    assert 0.4 < share < 0.6


# --- the oracle ---


def test_the_oracle_stores_the_evidence_and_nothing_else():
    vector, (trajectory,) = play("oracle")
    assert held(vector) == [lines()[n] for n in (1, 11, 12)]
    assert failures(trajectory) == {}


def test_under_a_budget_the_oracle_prefers_turns_that_serve_more_questions_per_token():
    sizes = [count_lexical_tokens(lines()[n]) for n in (1, 11, 12)]
    vector, _ = play("oracle", budget=sizes[2])
    assert held(vector) == [lines()[12]], "t12 serves two questions"
    vector, (trajectory,) = play("oracle", budget=sum(sizes))
    assert held(vector) == [lines()[n] for n in (1, 11, 12)]
    assert failures(trajectory) == {}


def stored_evidence(name: str, budget: int | None) -> float:
    """Share of the evidence turns of generated dialogues that are in memory at the end."""
    probe = gymnasium.make_vec("memgym/Dialogue-v0", num_envs=1, budget=budget).unwrapped
    agent = make_agent(name, task=probe.task)
    found = []
    for index in range(8):
        vector = gymnasium.make_vec(
            "memgym/Dialogue-v0", num_envs=1, **{"budget": budget, **agent.env_overrides}
        ).unwrapped
        rollout(vector, agent, [index])
        kept = {source for entry in vector.envs[0].bank.entries() for source in entry.sources}
        for question in probe.task.episode(index).questions:
            found += [id_ in kept for id_ in question.evidence]
    return sum(found) / len(found)


def test_the_oracle_without_a_budget_holds_all_evidence():
    assert stored_evidence("oracle", None) == 1.0
    _, (trajectory,) = play("oracle", budget=1000)
    assert [a["evidence_recall"] for a in trajectory.exam["answers"]] == [1.0, 1.0, 1.0, None]


@pytest.mark.parametrize("budget", [40, 120, None])
def test_nobody_holds_more_evidence_than_the_oracle(budget):
    ceiling = stored_evidence("oracle", budget)
    for name in ("no_memory", "random", "recency", "append_all"):
        assert stored_evidence(name, budget) <= ceiling
    assert ceiling > stored_evidence("recency", 40)


# --- what they ask of their environment ---


def test_rag_has_no_budget_and_full_context_reads_the_stream():
    rag, full = (make_agent(name, task=None).env_overrides for name in ("rag", "full_context"))
    assert rag["budget"] == UNLIMITED
    assert dict(full) == {"exam_context": "stream"}
    vector, _ = play("rag", budget=5)
    assert held(vector) == lines()
    reader = FakeReader()
    play("full_context", reader=reader, budget=5)
    assert [entry.text for entry in reader.batches[0][0].context] == lines()[::-1]


def test_rag_chunks_holds_every_chunk_as_one_entry_without_a_budget():
    vector, _ = play("rag_chunks", budget=5)
    assert held(vector) == [chunk.text for chunk in STORY.chunks]


def test_rag_sentences_holds_every_sentence_as_one_entry_without_a_budget():
    long, longer = ("I bought a red bicycle in the town of Bern.", "It is the fastest one that I have ever had.")
    agent = make_agent("rag_sentences", task=None)
    env = make_vector(make_episode([f"{long} {longer}", "Lovely. So it goes."]), **{"budget": 5, **agent.env_overrides})
    rollout(env, agent, [0])
    assert held(env) == [f"Ann: {long}", f"Ann: {longer}", "Ann: Lovely. So it goes."]


@pytest.mark.parametrize("name", BASELINES)
def test_overrides_are_settings_an_environment_knows(name):
    agent = make_agent(name, task=make_vector(STORY).task)
    assert agent.name == name
    EnvConfig(**agent.env_overrides)


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_plays_dialogues_of_every_size_without_a_failure_of_its_own(name):
    for budget in (0, 30, 200, None):
        config = {"budget": budget, "dialogue": {"chunks": 3, "turns_per_chunk": 5, "questions": 4}}
        probe = gymnasium.make_vec("memgym/Dialogue-v0", num_envs=3, **config)
        agent = make_agent(name, task=probe.unwrapped.task)
        vector = gymnasium.make_vec("memgym/Dialogue-v0", num_envs=3, **{**config, **agent.env_overrides}).unwrapped
        trajectories = rollout(vector, agent, range(3))
        again = rollout(vector, agent, range(3))
        for trajectory, repeated in zip(trajectories, again, strict=True):
            assert differences(trajectory, repeated) == []
            careless = name in ("append_all", "random")  # they do not look at the room left before they write
            assert set(failures(trajectory)) <= ({"over_budget", "duplicate"} if careless else {"duplicate"})
            assert budget is None or name.startswith("rag") or trajectory.memory_tokens <= budget


# --- the page of agents ---


def test_every_baseline_is_on_the_page():
    assert set(BASELINES) <= set(AGENTS)


def test_an_unknown_agent_is_one_line():
    with pytest.raises(ValueError, match="agent 'clever' is unknown; choose one of no_memory, random, recency"):
        make_agent("clever", task=make_vector(STORY).task)


def test_only_the_oracle_is_given_the_task():
    class Untouchable:
        def __getattr__(self, name):
            raise RuntimeError("looked at the task")

    for name in set(BASELINES) - {"oracle"}:
        make_agent(name, task=Untouchable())
    with pytest.raises(RuntimeError, match="looked at the task"):
        make_agent("oracle", task=Untouchable())


def test_an_agent_that_decides_nothing_says_so():
    class Lazy(Agent):
        name = "lazy"

    with pytest.raises(TypeError, match="Lazy implements neither act"):
        Lazy().act([{}], [0])
