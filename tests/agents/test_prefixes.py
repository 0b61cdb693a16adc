import random
from itertools import product, takewhile

import pytest

from agents.prefixes import PrefixCluster, cluster_by_prefix, saved_tokens

OPENING = [1, 2, 3, 4]


def as_sets(clusters):
    return {(frozenset(cluster.rows), cluster.shared) for cluster in clusters}


def test_equal_prompts_share_all_but_the_last_token():
    assert cluster_by_prefix([[7, 8, 9]] * 3) == [PrefixCluster((0, 1, 2), 2)]


def test_groups_of_one_prompt_are_kept_apart_although_all_open_alike():
    first, second = [*OPENING, *range(10, 30)], [*OPENING, *range(40, 60)]
    prompts = [first, second, [*first, 31], second, [*first, 32]]
    assert as_sets(cluster_by_prefix(prompts)) == {(frozenset({0, 2, 4}), 23), (frozenset({1, 3}), 23)}
    assert saved_tokens(cluster_by_prefix(prompts)) == 2 * 23 + 23


def test_prompts_that_share_the_instructions_only_form_one_cluster():
    prompts = [[*OPENING, 10, 11], [*OPENING, 20], [*OPENING, 30, 31, 32]]
    assert as_sets(cluster_by_prefix(prompts)) == {(frozenset({0, 1, 2}), 4)}


def test_a_prompt_that_is_another_s_beginning_keeps_its_last_token():
    assert as_sets(cluster_by_prefix([OPENING, [*OPENING, 5, 6]])) == {(frozenset({0, 1}), 3)}


def test_prompts_with_nothing_in_common_save_nothing():
    clusters = cluster_by_prefix([[1, 2], [3, 4], [5]])
    assert len(clusters) == 3
    assert saved_tokens(clusters) == 0


def test_groups_stay_whole_among_prompts_that_share_the_instructions_only():
    odd = [[*OPENING, number] for number in range(50, 60)]
    group = [[*OPENING, *range(10, 30)]] * 4
    clusters = as_sets(cluster_by_prefix([*odd, *group]))
    assert clusters == {(frozenset(range(10)), 4), (frozenset(range(10, 14)), 23)}


def test_clusters_hold_no_more_than_is_asked_for():
    clusters = cluster_by_prefix([[7, 8, 9]] * 5, most=2)
    assert sorted(len(cluster.rows) for cluster in clusters) == [1, 2, 2]
    assert [len(cluster.rows) for cluster in cluster_by_prefix([[7, 8, 9]] * 20, most=16)] == [10, 10]
    assert sorted(row for cluster in clusters for row in cluster.rows) == [0, 1, 2, 3, 4]


def runs_of(rows):
    """All ways to cut a sequence into runs."""
    for cuts in product([False, True], repeat=len(rows) - 1):
        division = [[rows[0]]]
        for cut, row in zip(cuts, rows[1:], strict=True):
            division.append([row]) if cut else division[-1].append(row)
        yield division


def common(rows):
    return len(list(takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))))


def saved_by(prompts, division):
    return sum(common([prompts[row][:-1] for row in group]) * (len(group) - 1) for group in division)


@pytest.mark.parametrize("most", [None, 2])
@pytest.mark.parametrize("seed", range(20))
def test_no_other_division_of_the_sorted_prompts_saves_more(seed, most):
    draw = random.Random(seed)
    prompts = [[draw.choice((1, 1, 1, 2)) for _ in range(draw.randint(1, 7))] for _ in range(8)]
    divisions = runs_of(sorted(range(8), key=lambda row: prompts[row]))
    allowed = [division for division in divisions if most is None or max(map(len, division)) <= most]
    assert saved_tokens(cluster_by_prefix(prompts, most)) == max(saved_by(prompts, division) for division in allowed)
