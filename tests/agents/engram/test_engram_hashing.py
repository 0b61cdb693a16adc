from pathlib import Path

import numpy as np
import pytest
import torch

from agents.engram import DEAD, Compression, EngramConfig, NgramHasher, compress_vocabulary
from agents.engram.hashing import multipliers, primes
from agents.engram.lookback import link, look_back
from agents.tiny import build_byte_tokenizer
from memgym.tasks.procedural import DialogueGenerator

GOLDEN = EngramConfig(layers=(1, 4), heads=4, rows=503)
SIZE, PAD = 32_962, 7


def hasher_of_size(config, size, pad):
    return NgramHasher(config, Compression(np.arange(size), size, pad, ""))


@pytest.fixture(scope="module")
def golden():
    return hasher_of_size(GOLDEN, SIZE, PAD)


def heads_of(hasher, compressed, **kwargs):
    """Row numbers within each head (L, B, T, heads in all)."""
    return hasher(torch.tensor(compressed), **kwargs) - hasher.offsets.flatten(1)[:, None, None]


def test_golden_primes():
    assert primes(GOLDEN).tolist() == [
        [[503, 509, 521, 523], [541, 547, 557, 563]],
        [[569, 571, 577, 587], [593, 599, 601, 607]],
    ]


def test_golden_primes_of_the_default_table():
    found = primes(EngramConfig(layers=(1,)))
    assert (found.min(), found.max(), found.sum()) == (20011, 20143, 321_238)


def test_primes_start_at_the_smallest_there_is():
    assert primes(EngramConfig(layers=(0,), heads=3, rows=2)).tolist() == [[[2, 3, 5], [7, 11, 13]]]


def test_golden_multipliers():
    assert multipliers(GOLDEN, SIZE).tolist() == [
        [230375209678255, 14549875670123, 108103751273253],
        [247294751087909, 15144860358893, 221420669392939],
    ]


@pytest.mark.parametrize("size", [1, 2, 230, SIZE, 2**40])
def test_multipliers_are_odd_and_no_product_overflows(size):
    factors = multipliers(EngramConfig(layers=tuple(range(40))), size)
    assert (factors % 2 == 1).all()
    assert int(factors.max()) * (size - 1) < 2**63


def test_golden_rows(golden):
    heads = heads_of(golden, [[11, 22, 33, 44, 32961]])
    assert heads[0, 0, 0].tolist() == [208, 159, 26, 116, 138, 365, 344, 254]
    assert heads[0, 0, 4].tolist() == [204, 206, 350, 267, 517, 546, 459, 289]
    assert heads[1, 0, 4].tolist() == [507, 74, 201, 44, 406, 445, 328, 334]
    assert golden.table_rows == [4264, 4704]


def test_rows_by_hand():
    hasher = hasher_of_size(EngramConfig(layers=(0,), heads=2, rows=5), 10, 9)
    assert hasher.primes.tolist() == [[[5, 7], [11, 13]]]
    assert hasher.offsets.tolist() == [[[0, 5], [12, 23]]]
    hasher.multipliers[:] = torch.tensor([3, 5, 7])
    # Last token of 1 2 4: 4*3 ^ 2*5 = 12 ^ 10 = 6; 6 mod 5, 6 mod 7; 6 ^ 1*7 = 1; 1 mod 11, 1 mod 13
    # First token of 1 2 4: 1*3 ^ 9*5 = 3 ^ 45 = 46; 46 mod 5, 46 mod 7; 46 ^ 9*7 = 46 ^ 63 = 17; 17 mod 11, 17 mod 13
    rows = hasher(torch.tensor([[1, 2, 4]]))[0, 0]
    assert rows[2].tolist() == [1, 5 + 6, 12 + 1, 23 + 1]
    assert rows[0].tolist() == [1, 5 + 4, 12 + 6, 23 + 4]


def test_what_is_before_a_text_is_padding_whether_it_is_written_out_or_not(golden):
    alone = heads_of(golden, [[11, 22, 33]])
    assert torch.equal(heads_of(golden, [[DEAD, DEAD, 11, 22, 33]])[:, :, 2:], alone)
    assert torch.equal(heads_of(golden, [[PAD, PAD, 11, 22, 33]])[:, :, 2:], alone)
    assert torch.equal(heads_of(golden, [[11, 22, 33, DEAD]])[:, :, :3], alone)


def test_packed_texts_have_the_rows_of_texts_apart(golden):
    ids = torch.tensor([[11, 22, 33, 44, 55]])
    starts = torch.tensor([[0, 0, 1, 0, 0]]).bool()
    back = look_back(link(ids >= 0, starts), 5, 2)
    packed = golden(ids, back)
    assert torch.equal(packed[:, :, :2], golden(ids[:, :2]))
    assert torch.equal(packed[:, :, 2:], golden(ids[:, 2:]))
    assert not torch.equal(packed, golden(ids))


def test_only_the_last_tokens_are_hashed_on_request(golden):
    ids = torch.tensor([[11, 22, 33, 44, 55]])
    back = look_back(link(ids >= 0), 2, 2)
    assert torch.equal(golden(ids, back), golden(ids)[:, :, 3:])


def test_token_ids_are_compressed_and_padding_is_marked():
    hasher = NgramHasher(GOLDEN, Compression(np.array([5, 6, 5, 7]), 8, 7, ""))
    ids, live = torch.tensor([[3, 0, 1, 2]]), torch.tensor([[False, True, True, True]])
    assert hasher.compress(ids).tolist() == [[7, 5, 6, 5]]
    assert hasher.compress(ids, live).tolist() == [[DEAD, 5, 6, 5]]


def test_all_that_the_addresses_depend_on_is_in_the_checkpoint_and_stays_whole(golden):
    assert set(golden.state_dict()) == {"compression", "multipliers", "primes", "offsets"}
    assert {buffer.dtype for buffer in golden.to(torch.bfloat16).buffers()} == {torch.int64}


def dialogue():
    generator = DialogueGenerator()
    return "\n".join(chunk.text for index in range(3) for chunk in generator.episode(0, index).chunks)


def prose():
    return (Path(__file__).parents[3] / "LICENSE").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [dialogue, prose])
def test_distinct_ngrams_of_real_text_spread_over_the_rows_like_a_uniform_hash(text):
    """Chi-square per head, summed over the heads of a layer; its normal approximation at p > .01, both sides."""
    compression = compress_vocabulary(build_byte_tokenizer(), 259)
    hasher = NgramHasher(EngramConfig(layers=(1, 14), heads=8, rows=503), compression)
    ids = hasher.compress(torch.tensor([build_byte_tokenizer()(text())["input_ids"]]))
    rows = hasher(ids)[:, 0, 2:]  # (L, T, heads): whole n-grams only
    windows = ids[0].unfold(0, 3, 1)
    for layer in range(2):
        chi_square, freedom = 0.0, 0
        for order in (2, 3):
            _, first = np.unique(windows[:, 3 - order :].numpy(), axis=0, return_index=True)
            assert len(first) > 300
            for head in range(8):
                size = int(hasher.primes[layer, order - 2, head])
                within = rows[layer, first, 8 * (order - 2) + head] - hasher.offsets[layer, order - 2, head]
                expected = len(first) / size
                counts = torch.bincount(within, minlength=size)
                chi_square += float((counts - expected).square().sum() / expected)
                freedom += size - 1
        assert abs(chi_square - freedom) / (2 * freedom) ** 0.5 < 2.58
