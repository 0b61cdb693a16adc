from types import SimpleNamespace

import pytest

from memgym.rollout import Decision
from train.curriculum import Curriculum
from train.rollouts import GridRollouts, grid_prompts
from train.settings import EnvSettings

ENV = EnvSettings(kwargs={"budget": 60, "dialogue": {"chunks": 4, "turns_per_chunk": 2, "questions": 2}})
STAGES = [
    {"until_step": 2, "env": {"dialogue": {"chunks": 1}}},
    {"until_step": 5, "env": {"dialogue": {"chunks": 2}, "budget": 30}},
]


def settings_at(curriculum, step):
    env = curriculum.env(step)
    return len(env.task.episode(0).chunks), env.envs[0].config.budget


def test_each_stage_holds_until_its_step_and_then_the_environment_is_the_final_one():
    curriculum = Curriculum(ENV, STAGES, 3)
    found = [settings_at(curriculum, step) for step in range(7)]
    assert found == [(1, 60)] * 2 + [(2, 30)] * 3 + [(4, 60)] * 2
    assert curriculum.env(0).num_envs == 3
    assert curriculum.env(0) is curriculum.env(1)


def test_what_a_stage_does_not_name_stays_as_it_is():
    env = Curriculum(ENV, STAGES, 1).env(0)
    assert len(env.task.episode(0).chunks[0].turns) == 2
    assert ENV.kwargs["dialogue"]["chunks"] == 4  # the settings are not changed


def test_without_stages_every_step_has_the_same_environment():
    curriculum = Curriculum(ENV, [], 1)
    assert curriculum.env(0) is curriculum.env(1000)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([{"until_step": 2}], "curriculum\\[0\\].*: expected until_step \\(a step\\) and env"),
        (["short"], "curriculum\\[0\\]='short': expected"),
        ([{"until_step": 0, "env": {}}], "curriculum\\[0\\]: until_step=0: expected a step after 0"),
        ([STAGES[1], STAGES[0]], "curriculum\\[1\\]: until_step=2: expected a step after 5"),
        ([{"until_step": 2, "env": {"colour": "red"}}], "memgym/Dialogue-v0: .*colour"),
    ],
)
def test_a_stage_that_is_none_ends_with_one_line_before_anything_is_trained(stages, message):
    with pytest.raises(SystemExit, match=f"^error: {message}"):
        Curriculum(ENV, stages, 1)


class Silent:
    """Does nothing; its tokens are the number of chunks of the episode."""

    name = "silent"

    def __init__(self, backbone):
        self.backbone = backbone

    def reseed(self, seed):
        pass

    def act(self, observations, episodes):
        return [Decision((), "", (int(o["progress"][1]),), (7,)) for o in observations]


def test_grpos_rollouts_follow_the_curriculum(tiny_backbone):
    rollouts = GridRollouts(Curriculum(ENV, STAGES, 2), Silent(tiny_backbone), group_size=2, slots=1, seed=0)
    for step, chunks in ((0, 1), (2, 2), (9, 4)):
        trainer = SimpleNamespace(state=SimpleNamespace(global_step=step), accelerator=SimpleNamespace(process_index=0))
        assert rollouts(grid_prompts([0], 1) * 2, trainer)["prompt_ids"] == [[chunks], [chunks]]
