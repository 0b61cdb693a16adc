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
