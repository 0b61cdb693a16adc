"""Everything by hand: numbers small enough to follow with a pencil."""

import math

import pytest
import torch

from train.advantages import (
    Discounts,
    discounted_returns,
    explained_variance,
    gae,
    group_relative,
    moments,
    variance,
    whiten,
)
from train.losses import clipped_policy_loss, clipped_value_loss, kl_estimate


def vectors(*turns):
    return [torch.tensor(turn, dtype=torch.float64) for turn in turns]


def lists(turns):
    return [turn.tolist() for turn in turns]


# --- GAE -------------------------------------------------------------------------------------------------------------


def test_without_decay_an_advantage_is_the_return_less_the_value():
    """As it is by default: what is still to come, 3 at every token of turn 1, 2 at those of turn 2."""
    rewards = vectors([0.0, 1.0], [0.0, 0.0, 2.0])
    values = vectors([0.5, 1.0], [0.25, 0.0, 4.0])
    found = gae(rewards, values, Discounts())
    assert lists(found) == [[3 - 0.5, 3 - 1.0], [2 - 0.25, 2 - 0.0, 2 - 4.0]]


def test_with_no_trace_an_advantage_is_the_error_of_one_step():
    """lambda = 0: r + V(next token) - V; the next token of a turn's last one is the next turn's first."""
    rewards = vectors([0.0, 1.0], [0.0, 2.0])
    values = vectors([1.0, 3.0], [5.0, 7.0])
    found = gae(rewards, values, Discounts(gae_lambda=0.0, turn_lambda=0.0))
    assert lists(found) == [[0 + 3 - 1, 1 + 5 - 3], [0 + 7 - 5, 2 + 0 - 7]]


def test_discounts_within_and_between_turns_apply_where_they_belong():
    """delta: turn 2: 1 - 3 = -2; 0 + .5 * 3 - 2 = -.5. Turn 1, whose last token is followed by V = 2: 4 + .25 * 2 - 0.

    A: -2; -.5 + .5 * .5 * -2 = -1; 4.5 + .25 * .8 * -1 = 4.3.
    """
    found = gae(vectors([4.0], [0.0, 1.0]), vectors([0.0], [2.0, 3.0]), Discounts(0.5, 0.5, 0.25, 0.8))
    assert found[0].tolist() == pytest.approx([4.3])
    assert found[1].tolist() == [-1.0, -2.0]


def test_the_reward_at_the_end_reaches_every_turn_with_the_decay_of_the_turns_between():
    """A critic that knows nothing: after k turns to go, .9 ** k is left, whatever the number of tokens."""
    rewards = vectors([0.0, 0.0], [0.0] * 5, [0.0, 1.0])
    values = [torch.zeros_like(turn) for turn in rewards]
    found = gae(rewards, values, Discounts(turn_lambda=0.9))
    assert found[0].tolist() == pytest.approx([0.81] * 2)
    assert found[1].tolist() == pytest.approx([0.9] * 5)
    assert found[2].tolist() == [1.0, 1.0]


def test_by_default_a_fresh_critic_credits_all_turns_of_a_long_episode_alike():
    """And whitening keeps it so: each turn of the better episode above 0, each of the worse below."""
    values = [torch.zeros(2, dtype=torch.float64)] * 105
    rewards = {final: [*values[:-1], torch.tensor([0.0, final], dtype=torch.float64)] for final in (0.75, 0.25)}
    found = {final: torch.cat(gae(turns, values, Discounts())) for final, turns in rewards.items()}
    whole = moments(torch.cat(list(found.values())))
    assert whiten(found[0.75], whole).tolist() == pytest.approx([1.0] * 210)
    assert whiten(found[0.25], whole).tolist() == pytest.approx([-1.0] * 210)


def test_the_same_tokens_in_one_turn_or_in_many_have_the_same_advantages():
    rewards, values = [0.5, -1.0, 0.25, 2.0, 0.0], [1.0, 0.5, -0.75, 0.1, 0.3]
    discounts = Discounts(0.97, 0.9, 0.97, 0.9)
    (whole,) = gae(vectors(rewards), vectors(values), discounts)
    parts = gae(
        vectors(rewards[:2], rewards[2:3], rewards[3:]), vectors(values[:2], values[2:3], values[3:]), discounts
    )
    assert torch.cat(parts).tolist() == whole.tolist()


def test_a_perfect_critic_leaves_nothing_to_gain():
    rewards = vectors([0.0, 1.0], [0.0, 2.0])
    found = gae(rewards, vectors([3.0, 3.0], [2.0, 2.0]), Discounts(turn_lambda=0.5))
    assert lists(found) == [[0.0, 0.0], [0.0, 0.0]]


# --- Returns and groups ----------------------------------------------------------------------------------------------


def test_returns_are_discounted_per_chunk():
    rewards = [1.0, 0.0, 2.0]
    assert discounted_returns(rewards, [0, 1, 2], 0.5) == [1.5, 1.0, 2.0]
    assert discounted_returns(rewards, [0, 1, 2], 0.0) == rewards
    assert rewards == [1.0, 0.0, 2.0]


def test_further_steps_on_a_chunk_cost_nothing():
    """A search on the first chunk, and a third step on it: what comes afterwards is as far away as without them."""
    assert discounted_returns([1.0, 0.0, 0.0, 2.0], [0, 0, 0, 1], 0.5) == [2.0, 1.0, 1.0, 2.0]
    assert discounted_returns([1.0, 2.0], [0, 1], 0.5)[0] == 2.0
    assert discounted_returns([0.0, 4.0, 2.0], [0, 0, 1], 0.0) == [4.0, 4.0, 2.0]


def test_the_published_example_of_discounted_step_rewards():
    """Mem-alpha's rewards of two rollouts of two chunks, gamma = .95: G = ((1.1, 0), (2.045, 1.1))."""
    assert discounted_returns([1.1, 0.0], [0, 1], 0.95) == [1.1, 0.0]
    assert discounted_returns([1.0, 1.1], [0, 1], 0.95) == pytest.approx([2.045, 1.1])


def test_a_group_has_mean_0_and_the_populations_deviation_1():
    assert group_relative([2.0, 0.0]) == pytest.approx([1.0, -1.0])
    assert group_relative([1.0, 2.0, 6.0]) == pytest.approx(
        [-2 / math.sqrt(14 / 3), -1 / math.sqrt(14 / 3), 3 / math.sqrt(14 / 3)]
    )


def test_a_group_of_equals_has_no_advantage():
    assert group_relative([0.1] * 3) == pytest.approx([0.0] * 3, abs=1e-6)  # whose sum is not quite .3
    assert group_relative([5.0]) == [0.0]


# --- Whitening -------------------------------------------------------------------------------------------------------


def test_moments_of_parts_add_up_to_those_of_the_whole():
    whole = torch.tensor([1.0, 2.0, 6.0, -1.0])
    assert moments(whole).tolist() == [4.0, 8.0, 42.0]
    assert (moments(whole[:1]) + moments(whole[1:])).tolist() == moments(whole).tolist()
    assert variance(moments(whole)).item() == 42 / 4 - 2**2


def test_whitening_uses_the_moments_of_the_whole_batch():
    """Mean 2 and variance 6.5 are those of both parts together."""
    first, second = torch.tensor([1.0]), torch.tensor([2.0, 6.0, -1.0])
    batch = moments(first) + moments(second)
    assert whiten(first, batch).item() == pytest.approx(-1 / math.sqrt(6.5))
    assert whiten(second, batch).tolist() == pytest.approx([0.0, 4 / math.sqrt(6.5), -3 / math.sqrt(6.5)])
    assert whiten(second, batch).dtype == torch.float32


def test_equal_advantages_become_zero():
    same = torch.full((3,), 0.1)
    assert whiten(same, moments(same)).abs().max() < 1e-3


@pytest.mark.parametrize(
    ("values", "expected"), [([1.0, 3.0], 1.0), ([2.0, 2.0], 0.0), ([0.0, 2.0], 1.0), ([3.0, 1.0], -3.0)]
)
def test_explained_variance_is_1_for_a_critic_that_is_off_by_a_constant_and_0_for_a_constant(values, expected):
    returns = torch.tensor([1.0, 3.0])
    assert explained_variance(moments(returns - torch.tensor(values)), moments(returns)) == expected


def test_equal_returns_have_no_variance_to_explain():
    same = moments(torch.ones(3))
    assert math.isnan(explained_variance(same, same))


# --- Losses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.0, 2.0, -2.0),
        (1.1, 2.0, -2.2),
        (1.5, 2.0, -2.4),  # no more to gain above 1 + clip
        (0.5, 2.0, -1.0),  # but all to lose below
        (0.9, -2.0, 1.8),
        (0.5, -2.0, 1.6),  # no more to gain below 1 - clip
        (1.5, -2.0, 3.0),
    ],
)
def test_the_policy_loss_is_clipped_where_it_would_gain(ratio, advantage, loss):
    log_ratio = torch.tensor([math.log(ratio)], dtype=torch.float64)
    found = clipped_policy_loss(log_ratio, torch.tensor([advantage], dtype=torch.float64), 0.2)
    assert found.tolist() == pytest.approx([loss])


@pytest.mark.parametrize(
    ("ratio", "advantage", "moves"), [(1.5, 1.0, False), (0.5, -1.0, False), (0.5, 1.0, True), (1.5, -1.0, True)]
)
def test_a_clipped_token_has_no_gradient(ratio, advantage, moves):
    log_ratio = torch.tensor([math.log(ratio)], requires_grad=True)
    clipped_policy_loss(log_ratio, torch.tensor([advantage]), 0.2).sum().backward()
    assert bool(log_ratio.grad.abs() > 0) == moves


@pytest.mark.parametrize(
    ("value", "old", "wanted", "loss"),
    [
        (1.1, 1.0, 2.0, 0.5 * 0.9**2),  # moved by less than the clip
        (1.5, 1.0, 2.0, 0.5 * 0.8**2),  # as if it had moved by .2 only
        (0.5, 1.0, 2.0, 0.5 * 1.5**2),  # moved away: the unclipped error is the larger one
        (3.0, 1.0, 1.1, 0.5 * 1.9**2),  # shot past
    ],
)
def test_the_value_loss_does_not_reward_a_jump(value, old, wanted, loss):
    value, old, wanted = (torch.tensor([number], dtype=torch.float64) for number in (value, old, wanted))
    assert clipped_value_loss(value, old, wanted, 0.2).tolist() == pytest.approx([loss])


def test_a_value_that_jumped_the_right_way_has_no_gradient():
    value = torch.tensor([1.5, 1.1], requires_grad=True)
    clipped_value_loss(value, torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0]), 0.2).sum().backward()
    assert value.grad.tolist() == pytest.approx([0.0, -0.9])


def test_the_kl_estimate_is_unbiased_and_never_negative():
    """p = (.5, .5), q = (.8, .2): KL(p || q) = .5 ln(.5 / .8) + .5 ln(.5 / .2)."""
    p, q = torch.tensor([0.5, 0.5]), torch.tensor([0.8, 0.2])
    estimates = kl_estimate((q / p).log())
    assert (estimates > 0).all()
    assert (p * estimates).sum().item() == pytest.approx(0.5 * math.log(0.5 / 0.8) + 0.5 * math.log(0.5 / 0.2))
    assert kl_estimate(torch.zeros(2)).tolist() == [0.0, 0.0]
