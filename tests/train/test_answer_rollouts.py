"""The grid of turns takes the answer environment as it is: one step an episode, one slot."""

from types import SimpleNamespace

import pytest

from memgym.envs.answer import AnswerEnv
from memgym.envs.vector import MemoryVectorEnv
from memgym.rollout import Decision
from memgym.tasks.retrieved_questions import RetrievedQuestions
from memgym.tasks.task import EpisodeList
from tests.scripted import make_chat, make_question
from train.rollouts import GridRollouts, grid_prompts

CHAT = make_chat(6, [make_question("How long is 5?", "5 metres", "t5"), make_question("And 2?", "2 metres", "t2")])


class Guesser:
    """Knows the answer to the first question and guesses alternately."""

    name = "guesser"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, backbone):
        self.backbone = backbone

    def reseed(self, seed):
        self.seed = seed

    def act(self, observations, episodes):
        return [
            Decision((), f"**Answer:** {5 - row % 2} metres", prompt_ids=(100 + episode,), completion_ids=(10 + row, 0))
            for row, episode in enumerate(episodes)
        ]


def test_every_row_is_one_answer_with_its_reward(tiny_backbone):
    env = MemoryVectorEnv(AnswerEnv(RetrievedQuestions(EpisodeList("chats", [CHAT])), reward="f1"), 4)
    rollouts = GridRollouts(env, Guesser(tiny_backbone), group_size=2, slots=1, seed=0)
    prompts = [prompt for prompt in grid_prompts([0, 1], 1) for _ in range(2)]
    trainer = SimpleNamespace(state=SimpleNamespace(global_step=0), accelerator=SimpleNamespace(process_index=0))
    rows = rollouts(prompts, trainer)
    assert rows["turn_reward"] == pytest.approx([1.0, 0.5, 0.5, 0.5])
    assert rows["prompt_ids"] == [[100], [100], [101], [101]]
    assert rows["completion_ids"] == [[10, 0], [11, 0], [12, 0], [13, 0]]
    assert rows["env_mask"] == [[1, 1]] * 4
    logged = {}
    rollouts.turn_reward(rows["turn_reward"], lambda name, value: logged.update({name: value}))
    assert (logged["terms/em"], logged["terms/format"], logged["score"]) == (0.25, 1.0, pytest.approx(0.625))
