import torch

from agents.engram.lookback import link, link_by_attention, look_back


def test_the_token_before_skips_padding_wherever_it_stands():
    live = torch.tensor([[0, 1, 1, 1], [1, 0, 0, 1], [1, 1, 0, 0]]).bool()
    # Column 0 is the null column, column 1 the first token.
    assert link(live).tolist() == [[0, 0, 0, 2, 3], [0, 0, 1, 1, 1], [0, 0, 1, 2, 2]]


def test_a_packed_text_starts_afresh():
    live = torch.ones(1, 5, dtype=torch.bool)
    starts = torch.tensor([[0, 0, 1, 0, 0]]).bool()
    assert link(live, starts).tolist() == [[0, 0, 1, 0, 3, 4]]


def test_looking_back_ends_at_the_null_column_and_stays_there():
    links = link(torch.ones(1, 4, dtype=torch.bool))
    assert look_back(links, 2, 4)[:, 0].tolist() == [[3, 4], [2, 3], [1, 2], [0, 1], [0, 0]]


def test_an_attention_mask_of_texts_that_share_a_prefix_gives_each_its_own_past():
    # prefix of 2 tokens, rest 1 of two tokens, rest 2 of one, one token of padding that sees itself alone
    segments = torch.tensor([0, 0, 1, 1, 2, 3])
    same, prefix = segments[:, None] == segments, segments == 0
    seen = (same | prefix) & torch.ones(6, 6).tril().bool()
    seen[5] = torch.eye(6)[5].bool()
    expected = [[0, 0, 1, 2, 3, 2, 0]]
    assert link_by_attention(seen[None, None]).tolist() == expected
    added = torch.zeros(1, 1, 6, 6).masked_fill(~seen, torch.finfo(torch.float32).min)
    assert link_by_attention(added).tolist() == expected
