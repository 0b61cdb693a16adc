from types import SimpleNamespace

import pytest

from memgym.memory.operations import Operation
from memgym.rollout import Decision
from tests.scripted import tea_story, write_custom
from train import held_out
from train.held_out import HeldOut
from train.settings import EnvSettings


class Keeper:
    """Keeps every line, or nothing; notes the temperatures it was run at and the seeds it was given."""

    name = "keeper"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, keeps=True):
        self.keeps = keeps
        self.temperature = 0.7
        self.temperatures = set()
        self.seeds = []

    def reseed(self, seed):
        self.seeds.append(seed)

    def act(self, observations, episodes):
        self.temperatures.add(self.temperature)
        return [Decision(self._lines(observation) if self.keeps else ()) for observation in observations]

    def _lines(self, observation):
        return tuple(Operation("insert", "episodic", line) for line in observation["chunk"].split("\n"))


@pytest.fixture
def stories(tmp_path):
    return EnvSettings("memgym/Custom-v0", {"path": str(write_custom(tmp_path / "s.jsonl", *map(tea_story, "abc")))})


def test_who_keeps_all_reaches_the_ceiling_and_who_keeps_nothing_stays_on_the_floor(stories):
    best, worst = HeldOut(stories, {}, 3, 0.0, Keeper())(), HeldOut(stories, {}, 3, 0.0, Keeper(keeps=False))()
    ceiling = best["ceiling"]
    assert ceiling > 0.5
    assert best == {"score": ceiling, "floor": 0.0, "ceiling": ceiling, "normalised": 1.0}
    assert worst == {"score": 0.0, "floor": 0.0, "ceiling": ceiling, "normalised": 0.0}


def derived_from(stories):
    return {"source": stories.id, "split": "test", "source_kwargs": stories.kwargs}


class Answerer(Keeper):
    """Says one answer to every question."""

    def act(self, observations, episodes):
        return [Decision((), "**Answer:** Moss") for _ in observations]


def test_who_answers_himself_is_graded_without_floor_and_ceiling(stories):
    """One of two questions, the cat's; neither baseline could answer as it does."""
    settings = EnvSettings("memgym/MemoryR1Answer-v0", derived_from(stories))
    assert HeldOut(settings, {"reward": "f1"}, 2, 0.0, Answerer())() == {"score": 0.5}


def test_a_manager_of_one_turn_has_the_bounds_of_that_turn(stories):
    settings = EnvSettings("memgym/MemoryR1Manager-v0", derived_from(stories))
    figures = HeldOut(settings, {}, 2, 0.0, Keeper())()
    assert figures == {"score": figures["ceiling"], "floor": 0.0, "ceiling": figures["ceiling"], "normalised": 1.0}
    assert figures["ceiling"] > 0.5


def test_there_is_no_normalised_score_where_floor_and_ceiling_meet(stories):
    figures = HeldOut(stories, {"budget": 1}, 3, 0.0, Keeper())()  # nothing fits
    assert figures == {"score": 0.0, "floor": 0.0, "ceiling": 0.0}


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_the_policy_is_graded_at_the_given_temperature_and_then_left_as_it_was(stories, temperature):
    keeper = Keeper()
    HeldOut(stories, {}, 2, temperature, keeper)()
    assert keeper.temperatures == {temperature}
    assert keeper.temperature == 0.7


def test_every_grading_samples_with_the_same_seed(stories):
    keeper = Keeper()
    evaluation = HeldOut(stories, {}, 2, 1.0, keeper)
    evaluation()
    evaluation()
    assert len(keeper.seeds) == 2
    assert len(set(keeper.seeds)) == 1


def test_the_temperature_comes_back_after_a_failure_too(stories):
    keeper = Keeper()
    keeper.act = lambda observations, episodes: 1 / 0
    with pytest.raises(ZeroDivisionError):
        HeldOut(stories, {}, 2, 0.0, keeper)()
    assert keeper.temperature == 0.7


def test_floor_and_ceiling_are_measured_once(stories, monkeypatch):
    made = []
    original = held_out.make_agent
    monkeypatch.setattr(held_out, "make_agent", lambda name, **kwargs: made.append(name) or original(name, **kwargs))
    evaluation = HeldOut(stories, {}, 2, 0.0, Keeper())
    assert made == []
    assert evaluation() == evaluation()
    assert made == ["no_memory", "oracle"]


def test_a_finite_task_is_not_asked_for_more_episodes_than_it_has(stories):
    assert HeldOut(stories, {}, 16, 0.0, Keeper()).indices == [0, 1, 2]
    assert HeldOut(stories, {}, 2, 0.0, Keeper()).indices == [0, 1]


def test_changes_replace_single_arguments_of_the_training_environment():
    dialogue = {"chunks": 2, "turns_per_chunk": 2, "questions": 2}
    settings = EnvSettings("memgym/Dialogue-v0", {"split": "train", "budget": 40, "dialogue": dialogue})
    evaluation = HeldOut(settings, {"split": "validation"}, 5, 0.0, Keeper())
    assert evaluation.indices == list(range(5))
    assert evaluation.env.task.split == "validation"
    assert evaluation.env.envs[0].config.budget == 40
    assert settings.kwargs["split"] == "train"


@pytest.mark.parametrize("processes", [1, 2, 3, 5])
def test_processes_share_the_episodes_without_overlap(stories, monkeypatch, processes):
    shares = []
    for index in range(processes):
        monkeypatch.setattr(
            held_out, "PartialState", lambda i=index: SimpleNamespace(process_index=i, num_processes=processes)
        )
        shares += HeldOut(stories, {}, 3, 0.0, Keeper()).share
    assert sorted(shares) == [0, 1, 2]


def test_an_evaluation_of_nothing_is_refused(stories):
    with pytest.raises(ValueError, match="eval_episodes=0: expected at least 1"):
        HeldOut(stories, {}, 0, 0.0, Keeper())


def test_the_curve_is_drawn_from_the_runs_metrics(stories, tmp_path):
    evaluation = HeldOut(stories, {}, 2, 0.0, Keeper())
    rows = ['{"step": 0, "eval_score": 0.1, "eval_floor": 0.0, "eval_ceiling": 1.0}', '{"step": 1, "reward": 0.2}']
    (tmp_path / "metrics.jsonl").write_text("\n".join(rows) + "\n")
    evaluation.plot(tmp_path)
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG\r\n")
