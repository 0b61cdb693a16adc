"""Which turn gets what, on trajectories whose every reward is known."""

from types import SimpleNamespace

import pytest

from memgym.answer_rewards import get_answer_reward
from memgym.memory.operations import Operation
from memgym.rewards import Recipe, compression, correctness, exact_match, failed, memory_r1
from memgym.rollout import Decision, Trajectory, TrajectoryStep, rollout
from tests.scripted import FakeReader, Scripted, make_episode, make_question, make_vector
from train.credit import Credit, CreditSettings, answer_worth
from train.rollouts import GridRollouts, grid_prompts

QA = Recipe("qa", {}, {"correctness": (1.0, correctness)})
COSTS = Recipe("costs", {"failed": (-0.1, failed)}, {"correctness": (2.0, correctness), "size": (0.5, compression)})


GENERATED, UPDATED = Decision((), "", (1,), (2,)), Decision((), "", (), (2,))  # trained, and not


def trajectory(own, episode_reward, chunks=None, decisions=None):
    """A trajectory with these weighted step terms, of which the environment pays the mean, and this episode reward.

    Every step is on a chunk of its own and trained, if nothing else is said.
    """
    chunks, decisions = chunks or range(len(own)), decisions or [GENERATED] * len(own)
    count = chunks[-1] + 1
    steps = [
        TrajectoryStep(chunk, decision, [], {}, value, value / count, {})
        for chunk, decision, value in zip(chunks, decisions, own, strict=True)
    ]
    steps[-1].reward += episode_reward
    return Trajectory(0, "made up", "nobody", steps, episode_reward=episode_reward)


def credit(kind, group_size=1, recipe=QA, **settings):
    return Credit(CreditSettings(kind, **settings), group_size, recipe)


def approx_each(*values):
    return pytest.approx(values, abs=1e-6)


def approx(rows):
    return [pytest.approx(row, abs=1e-9) for row in rows]


# --- Whole trajectories ----------------------------------------------------------------------------------------------


def test_by_default_every_turn_shares_its_trajectorys_reward():
    """Mem-alpha's reward vector: r1 = (.2, .6), r3 = (.5, .1), r2 = ((1, 0), (1, 1)), r4 = ((1, 0), (0, 1))."""
    pair = [trajectory([1.1, 0.0], 0.225), trajectory([1.0, 1.1], 0.605)]
    default = Credit(CreditSettings(), 2, QA)
    assert default.turn_rewards(None, pair) == approx([[1.325, 0.225], [1.605, 1.705]])
    assert default.step_rewards(None, pair) == approx([[0.55, 0.225], [0.5, 0.55 + 0.605]])


# --- Groups at the same turn -----------------------------------------------------------------------------------------


def centred(rows):
    """As GRPO centres them: each turn less the mean of the group at that turn."""
    means = [sum(column) / len(column) for column in zip(*rows, strict=True)]
    return [[value - mean for value, mean in zip(row, means, strict=True)] for row in rows]


def test_same_turn_advantages_are_those_of_the_published_example():
    """norm(G) + norm(R) with G = ((1.1, 0), (2.045, 1.1)): A = ((-2, -2), (2, 2))."""
    pair = [trajectory([1.1, 0.0], 0.225), trajectory([1.0, 1.1], 0.605)]
    rewards = credit("same_turn", 2).turn_rewards(None, pair)
    for found, expected in zip(centred(rewards), [[-2, -2], [2, 2]], strict=True):
        assert found == pytest.approx(expected, abs=1e-6)
    assert [sum(column) / 2 for column in zip(*rewards, strict=True)] == pytest.approx(
        [1.465, 0.965]
    )  # the mean reward


def test_the_episode_reward_counts_as_much_as_it_is_weighed():
    pair = [trajectory([1.0, 0.0], 0.0), trajectory([0.0, 0.0], 1.0)]
    rewards = credit("same_turn", 2, trajectory_weight=0.5).turn_rewards(None, pair)
    assert centred(rewards)[0] == pytest.approx([1 - 0.5, 0 - 0.5], abs=1e-6)


def test_groups_are_compared_within_themselves():
    two = [trajectory([0.0], 1.0), trajectory([0.0], 3.0)]
    other = [trajectory([0.0], 100.0), trajectory([0.0], 102.0)]
    rewards = credit("same_turn", 2).turn_rewards(None, [*two, *other])
    assert [row[0] for row in rewards] == pytest.approx([2 - 1, 2 + 1, 101 - 1, 101 + 1], abs=1e-6)
    assert credit("same_turn", 2).step_rewards(None, [*two, *other]) == [[-1.0], [1.0], [-1.0], [1.0]]


def test_ppo_sees_the_lead_on_the_group_turn_by_turn():
    pair = [trajectory([1.1, 0.0], 0.225), trajectory([1.0, 1.1], 0.605)]
    rewards = credit("same_turn", 2).step_rewards(None, pair)
    assert rewards == approx([[0.025, -0.275 - 0.19], [-0.025, 0.275 + 0.19]])


def test_a_turn_that_only_one_trajectory_has_is_compared_with_nothing():
    """And its trajectory's reward is compared all the same."""
    pair = [trajectory([0.0, 0.0], 1.0), trajectory([0.0, 0.0, 0.5], 0.0)]
    assert credit("same_turn", 2).step_rewards(None, pair) == approx([[0.0, 0.5], [0.0, 0.0, -0.5]])
    rewards = credit("same_turn", 2, discount=0.0).turn_rewards(None, pair)
    assert [len(row) for row in rewards] == [2, 3]
    assert rewards[1][2] == pytest.approx(0.5)


def test_a_step_more_on_a_chunk_does_not_shift_the_turns_after_it():
    """One searches on the first chunk: its step there is compared with nothing, and chunk 1 with chunk 1."""
    pair = [trajectory([0.0, 0.0, 2.0], 0.0, chunks=[0, 0, 1]), trajectory([0.0, 4.0], 0.0)]
    rewards = credit("same_turn", 2, discount=0.5).turn_rewards(None, pair)
    # G = (1, 1, 2) and (2, 4): -1 and 1 at both chunks, on top of the mean reward of the turn, 0 and 3.
    assert rewards == [approx_each(-1.0, 0.0, 3 - 1.0), approx_each(1.0, 3 + 1.0)]
    assert credit("same_turn", 2).step_rewards(None, pair) == approx([[0.0, 0.0, -0.5], [0.0, 0.5]])


@pytest.mark.parametrize("kind", ["trajectory", "same_turn"])
def test_an_extraction_answers_for_the_update_on_its_chunk(kind):
    """The update costs .5; the other trajectory has no facts, so that it takes no second step."""
    steps = {"chunks": [0, 0, 1], "decisions": [GENERATED, UPDATED, GENERATED]}
    pair = [trajectory([0.0, -0.5, 0.0], 1.0, **steps), trajectory([0.0, 0.0], 1.0)]
    (first, _, last), other = credit(kind, 2).turn_rewards(None, pair)
    if kind == "trajectory":
        assert [first, last, *other] == approx_each(0.5, 1.0, 1.0, 1.0)
        assert credit(kind, 2).step_rewards(None, pair)[0] == [0.0, -0.25, 1.0]  # PPO's turns take it over
    else:
        assert [first, last, *other] == approx_each(0.75 - 1, 1.0, 0.75 + 1, 1.0)
        assert credit(kind, 2).step_rewards(None, pair) == approx([[-0.125, 0.0, 0.0], [0.125, 0.0]])


# --- Local rewards ---------------------------------------------------------------------------------------------------

STORY = make_episode(
    ["The bike is red."],
    ["The cat is Moss."],
    ["So it goes."],
    questions=[make_question("bike?", "red", "t0"), make_question("cat?", "Moss", "t1")],
)


def recall(task):
    said = " ".join(entry.text for entry in task.context if task.question.rstrip("?") in entry.text)
    return "red" if "red" in said else "Moss" if "Moss" in said else "no idea"


def played(recipe, *scripts):
    env = make_vector(STORY, reader=FakeReader(recall), reward=recipe, budget=30)
    return env, [rollout(env, Scripted(*script), [0])[0] for script in scripts]


KEEP = Operation("insert", "episodic", quote=1)
FORGET = Operation("delete", "episodic", entry_id=1)
BAD = Operation("delete", "episodic", entry_id=99)


def test_local_exams_reward_the_step_that_raised_the_score():
    env, trajectories = played(QA, [[KEEP], [], []], [[], [KEEP], []], [[KEEP], [KEEP], [FORGET]])
    assert credit("local_exams").step_rewards(env, trajectories) == [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.5, 0.5, -0.5]]


def test_evidence_rewards_the_step_that_wrote_what_was_answered_from():
    env, trajectories = played(QA, [[KEEP], [], []], [[], [KEEP], []], [[KEEP], [KEEP], [FORGET]])
    assert credit("evidence").step_rewards(env, trajectories) == [[0.5, 0.0, 0.0], [0.0, 0.5, 0.0], [0.0, 0.5, 0.0]]


@pytest.mark.parametrize("kind", ["local_exams", "evidence"])
@pytest.mark.parametrize("share", [1.0, 0.5, 0.0])
def test_whatever_is_divided_adds_up_to_the_trajectorys_reward(kind, share):
    env, trajectories = played(COSTS, [[KEEP, BAD], [], [BAD]], [[], [KEEP], [KEEP]])
    rewards = credit(kind, recipe=COSTS, local_share=share).step_rewards(env, trajectories)
    assert [sum(row) for row in rewards] == pytest.approx([t.reward for t in trajectories])
    first, size = trajectories[0], trajectories[0].terms["size"]
    # A third of -.1 x half failed at the first turn; the answer, worth 2 / 2, at the first; the rest at the end.
    local = [-0.05 / 3 + 1.0, 0.0, -0.1 / 3 + 0.5 * size]
    recorded = [step.reward for step in first.steps]
    assert rewards[0] == pytest.approx([share * a + (1 - share) * b for a, b in zip(local, recorded, strict=True)])


@pytest.mark.parametrize("kind", ["local_exams", "evidence"])
def test_answers_are_worth_what_the_environment_they_were_given_in_pays(kind):
    """A stage of a curriculum may pay otherwise than the environment after the last one."""
    env, trajectories = played(COSTS, [[KEEP], [], []])
    assert credit(kind, recipe=QA).step_rewards(env, trajectories) == credit(kind, recipe=COSTS).step_rewards(
        env, trajectories
    )


def test_grpo_compares_what_came_from_the_turn_on():
    env, trajectories = played(QA, [[KEEP], [KEEP], [FORGET]])
    assert credit("local_exams", discount=0.5).turn_rewards(env, trajectories) == [[0.5 + 0.25 - 0.125, 0.25, -0.5]]
    assert credit("local_exams", discount=0.0).turn_rewards(env, trajectories) == [[0.5, 0.5, -0.5]]
    half = credit("evidence", discount=0.0, local_share=0.5).turn_rewards(env, trajectories)
    assert half == [[0.25, 0.5, 0.25]]  # half of (0, .5, 0) and half of what all share, .5


def test_grpos_turns_pay_their_own_step_terms_in_full():
    env, trajectories = played(COSTS, [[KEEP, BAD], [], [BAD]])
    (row,) = credit("local_exams", recipe=COSTS, discount=0.0).turn_rewards(env, trajectories)
    assert row == pytest.approx([-0.05 + 1.0, 0.0, -0.1 + 0.5 * trajectories[0].terms["size"]])


def test_answers_are_worth_what_the_recipes_terms_pay_for_them():
    question = make_question("bike?", "a red bike", metric="squad_f1")
    assert answer_worth(QA)(question, "red bike") == 1.0  # SQuAD drops the article
    assert answer_worth(COSTS)(question, "red") == pytest.approx(2 * 2 / 3)
    assert answer_worth(Recipe("em", {}, {"exact_match": (3.0, exact_match)}))(question, "the red bike") == 3.0
    assert answer_worth(memory_r1())(question, "red") == 0.0
    explained = make_question("likely?", "no; it is far", metric="locomo_3")
    assert answer_worth(memory_r1())(explained, "No") == 1.0
    assert answer_worth(memory_r1("em_else_f1"))(question, "red") == pytest.approx(2 / 3)


# --- Settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "group_size", "recipe", "message"),
    [
        ({"kind": "blame"}, 1, QA, "credit.kind='blame': expected one of trajectory, same_turn, local_exams, evidence"),
        ({"kind": "same_turn"}, 1, QA, "compares trajectories of one episode, group_size=1: set it to 2"),
        ({"discount": 1.5}, 1, QA, "credit.discount=1.5: expected a number in"),
        ({"local_share": -0.5}, 1, QA, "credit.local_share=-0.5: expected a number in"),
        ({"kind": "evidence"}, 1, Recipe("size", {}, {"s": (1.0, compression)}), "reward 'size' has no weight on"),
        ({"kind": "local_exams"}, 1, get_answer_reward("em_else_f1"), "in an answer environment there is one turn"),
    ],
)
def test_settings_without_meaning_end_with_one_line(settings, group_size, recipe, message):
    with pytest.raises(SystemExit, match=f"^error: .*{message}") as raised:
        Credit(CreditSettings(**settings), group_size, recipe)
    assert "\n" not in str(raised.value.code)


# --- In GRPO's rows --------------------------------------------------------------------------------------------------


class Keeper(Scripted):
    """Every other row keeps the first line of the first chunk; token ids say which chunk was read."""

    def __init__(self, backbone):
        super().__init__([KEEP], [], [])
        self.backbone = backbone

    def reseed(self, seed):
        pass

    def act(self, observations, episodes):
        decisions = super().act(observations, episodes)
        return [
            Decision(decision.operations if row % 2 == 0 else (), "", (int(o["progress"][0]),), (7,))
            for row, (decision, o) in enumerate(zip(decisions, observations, strict=True))
        ]


def test_rows_of_the_grid_carry_the_credit_of_their_turn(tiny_backbone):
    env = make_vector(STORY, num_envs=2, reader=FakeReader(recall), reward=QA)
    rollouts = GridRollouts(
        env, Keeper(tiny_backbone), group_size=2, slots=3, seed=0, credit=credit("local_exams", 2, discount=0.0)
    )
    prompts = [prompt for prompt in grid_prompts([0], 3) for _ in range(2)]
    trainer = SimpleNamespace(state=SimpleNamespace(global_step=0), accelerator=SimpleNamespace(process_index=0))
    rows = rollouts(prompts, trainer)
    assert [ids[0] for ids in rows["prompt_ids"]] == [0, 0, 1, 1, 2, 2]
    assert rows["turn_reward"] == [0.5, 0.0, 0.0, 0.0, 0.0, 0.0]
