import pytest
import torch

from memgym.rollout import Decision, Trajectory, TrajectoryStep
from train.turns import (
    Turn,
    collate,
    given_to_turns,
    hand_out,
    micro_batches,
    minibatches,
    own_rewards,
    per_token,
    same_turns,
    turns_of,
)

ROWS = [Turn((5, 6, 7, 8), (9, 10), 0.0), Turn((5,), (11, 12, 13, 2), 0.0), Turn((20, 21), (2,), 0.0)]


def step(prompt, completion, *, chunk=0, own=0.0):
    return TrajectoryStep(chunk, Decision((), "", prompt, completion), [], {}, own, 9.0, {})


def reading(*chunks):
    """A trajectory whose steps are on these chunks."""
    return Trajectory(0, "story", "searcher", [step((1,), (2,), chunk=chunk) for chunk in chunks])


def test_the_same_turn_is_the_nth_step_on_the_same_chunk():
    """The first takes one step more on chunk 0, the last two more on chunk 1."""
    turns = same_turns([reading(0, 0, 1, 2), reading(0, 1, 2), reading(0, 1, 1, 1, 2)])
    assert turns == [{0: 0, 1: 0, 2: 0}, {0: 1}, {0: 2, 1: 1, 2: 1}, {2: 2}, {2: 3}, {0: 3, 1: 2, 2: 4}]


def test_turns_answer_for_the_untrained_steps_after_them():
    """An update's terms are its extraction's; nobody answers for what comes before the first turn."""
    update, extraction = ((), (7,)), ((1,), (2,))
    steps = [step(*update, own=32.0), step(*extraction, own=1.0), step(*update, own=2.0), step(*extraction, own=4.0)]
    trajectory = Trajectory(0, "story", "memlora", steps)
    assert own_rewards(trajectory) == [32.0, 3.0, 0.0, 4.0]
    assert given_to_turns(trajectory, [0.5, 0.0, 0.25, 1.0]) == [0.5, 0.25, 0.0, 1.0]


def test_the_turns_of_a_trajectory_are_its_decisions_with_the_rewards_they_are_given():
    steps = [step((1, 2), (3,)), step((4,), (5, 6))]
    turns = turns_of(Trajectory(0, "story", "manager", steps), [0.5, -1.0])
    assert [(turn.prompt_ids, turn.completion_ids, turn.reward) for turn in turns] == [
        ((1, 2), (3,), 0.5),
        ((4,), (5, 6), -1.0),
    ]


def test_turns_without_tokens_are_left_out_and_their_rewards_go_to_the_turn_before():
    """MemLoRA's updates; the first of them has no turn before it."""
    steps = [step((), ()), step((1, 2), (3,)), step((), ()), step((), ()), step((4,), (5, 6)), step((), ())]
    turns = turns_of(Trajectory(0, "story", "memlora", steps), [32.0, 1.0, 2.0, 4.0, 8.0, 16.0])
    assert [(turn.completion_ids, turn.reward) for turn in turns] == [((3,), 1 + 2 + 4), ((5, 6), 8 + 16)]


@pytest.mark.parametrize(("kl_cost", "expected"), [(0.0, [0.0, 0.0, 2.0]), (0.5, [-0.25, 0.5, 1.0])])
def test_the_reward_stands_at_the_last_token_and_the_cost_of_leaving_the_reference_at_each(kl_cost, expected):
    turn = Turn((5,), (6, 7, 8), 2.0)
    turn.values = torch.zeros(3)
    turn.old_logps, turn.reference_logps = torch.tensor([-1.0, -3.0, -1.0]), torch.tensor([-1.5, -2.0, -3.0])
    assert turn.token_rewards(kl_cost).tolist() == expected


@pytest.mark.parametrize("decision", [((), (3,)), ((1, 2), ())])
def test_a_policy_that_generates_no_tokens_cannot_be_trained(decision):
    with pytest.raises(ValueError, match="policy 'oracle' gave no decision with tokens"):
        turns_of(Trajectory(0, "story", "oracle", [step(*decision)]), [0.0])


def test_a_batch_is_prompts_completions_and_padding_on_the_right():
    ids, mask = collate(ROWS, 0, torch.device("cpu"))
    assert ids.tolist() == [[5, 6, 7, 8, 9, 10], [5, 11, 12, 13, 2, 0], [20, 21, 2, 0, 0, 0]]
    assert [row[kept].tolist() for row, kept in zip(ids, mask, strict=True)] == [[9, 10], [11, 12, 13, 2], [2]]


def test_vectors_are_handed_out_in_the_order_in_which_they_are_scored():
    rows = [Turn(row.prompt_ids, row.completion_ids, 0.0) for row in ROWS]
    hand_out(rows, "values", torch.arange(7.0))
    assert [row.values.tolist() for row in rows] == [[0, 1], [2, 3, 4, 5], [6]]
    assert per_token(rows, "values").tolist() == list(range(7))


def test_micro_batches_hold_rows_of_similar_length():
    assert micro_batches(ROWS, 2) == [[ROWS[2], ROWS[1]], [ROWS[0]]]


def test_minibatches_share_all_turns_by_a_seed_of_their_own():
    turns = [Turn((number,), (1,), 0.0) for number in range(10)]
    parts = list(minibatches(turns, 3, "seed"))
    assert sorted(map(len, parts)) == [3, 3, 4]
    assert sorted(turn.prompt_ids[0] for part in parts for turn in part) == list(range(10))
    assert parts == list(minibatches(turns, 3, "seed"))
    assert parts != list(minibatches(turns, 3, "another seed"))
