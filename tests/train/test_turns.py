import pytest
import torch

from memgym.rollout import Decision, Trajectory, TrajectoryStep
from train.turns import Turn, collate, hand_out, micro_batches, minibatches, per_token, turns_of

ROWS = [Turn((5, 6, 7, 8), (9, 10), 0.0), Turn((5,), (11, 12, 13, 2), 0.0), Turn((20, 21), (2,), 0.0)]


def step(prompt, completion):
    return TrajectoryStep(0, Decision((), "", prompt, completion), [], {}, 0.0, 9.0, {})


def test_the_turns_of_a_trajectory_are_its_decisions_with_the_rewards_they_are_given():
    steps = [step((1, 2), (3,)), step((4,), (5, 6))]
    turns = turns_of(Trajectory(0, "story", "manager", steps), [0.5, -1.0])
    assert [(turn.prompt_ids, turn.completion_ids, turn.reward) for turn in turns] == [
        ((1, 2), (3,), 0.5),
        ((4,), (5, 6), -1.0),
    ]


@pytest.mark.parametrize("decision", [((), (3,)), ((1, 2), ())])
def test_a_policy_that_generates_no_tokens_cannot_be_trained(decision):
    with pytest.raises(ValueError, match="policy 'oracle' gave a decision without tokens"):
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
