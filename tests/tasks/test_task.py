import numpy as np
import pytest

from memgym.tasks.episode import Chunk, Episode, Question, Turn
from memgym.tasks.task import EpisodeList, ProceduralTask, Task


def episode(id_: str) -> Episode:
    question = Question("q0", "What?", ("this",), "1")
    return Episode(id_, "made-up", "train", (Chunk(0, (Turn("t0", "A", "this"),)),), (question,))


class EchoGenerator:
    """An episode that says which one it is."""

    version = "echo-1"
    knobs = {"volume": 11}  # noqa: RUF012 - as the protocol has it

    def episode(self, seed: int, index: int, split: str) -> Episode:
        return episode(f"{seed}/{index}/{split}")


def test_a_list_gives_its_episodes_by_index_and_in_order():
    task = EpisodeList("abc", [episode("a"), episode("b"), episode("c")])
    assert (task.name, task.size, len(task)) == ("abc", 3, 3)
    assert [item.id for item in task] == ["a", "b", "c"]
    assert task.episode(2).id == "c"


@pytest.mark.parametrize("index", [-1, 2])
def test_an_index_outside_the_list_is_an_error(index):
    with pytest.raises(IndexError, match=f"index {index}: task 'ab' has 2 episodes"):
        EpisodeList("ab", [episode("a"), episode("b")]).episode(index)


def test_a_list_without_episodes_is_refused():
    with pytest.raises(ValueError, match="task 'none' has no episodes"):
        EpisodeList("none", [])


def test_a_list_with_one_id_twice_is_refused():
    with pytest.raises(ValueError, match="holds episode id 'a' twice"):
        EpisodeList("aa", [episode("a"), episode("a")])


def test_samples_from_a_list_are_uniform_and_follow_the_generator_alone():
    task = EpisodeList("abcd", [episode(id_) for id_ in "abcd"])

    def draw(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [task.sample(rng).id for _ in range(400)]

    assert draw(0) == draw(0) != draw(1)
    counts = [draw(0).count(id_) for id_ in "abcd"]
    assert sum(counts) == 400
    # Chi-square with 3 degrees of freedom: below 16.27 with probability .999.
    assert sum((count - 100) ** 2 / 100 for count in counts) < 16.27


def test_a_procedural_task_asks_the_generator_for_seed_index_and_split():
    task = ProceduralTask(EchoGenerator(), seed=7, split="validation", name="echo")
    assert (task.name, task.size) == ("echo", None)
    assert task.episode(12).id == "7/12/validation"
    with pytest.raises(IndexError, match="counts its episodes from 0"):
        task.episode(-1)


def test_samples_of_a_procedural_task_are_addressable_by_the_index_drawn():
    task = ProceduralTask(EchoGenerator(), seed=7)
    drawn = [task.sample(np.random.default_rng(3)).id for _ in range(2)]
    index = int(np.random.default_rng(3).integers(2**31))
    assert drawn == [task.episode(index).id] * 2


def test_both_kinds_are_tasks():
    tasks: list[Task] = [EpisodeList("a", [episode("a")]), ProceduralTask(EchoGenerator())]
    assert [task.sample(np.random.default_rng(0)).source for task in tasks] == ["made-up"] * 2
