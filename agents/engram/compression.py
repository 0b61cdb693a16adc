"""Token compression: tokens that read alike (" Apple", "apple", "APPLE") share one compressed id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, normalizers
from transformers import PreTrainedTokenizerBase

_BLANK = "\ue000"  # stands for a token of blanks alone, which stripping would erase
_UNDECODABLE = "\ufffd"  # in the text of a token that holds part of a character only

_NORMALIZER = normalizers.Sequence(
    [
        normalizers.NFKC(),
        normalizers.NFD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(r"[ \t\r\n]+"), " "),
        normalizers.Replace(Regex(r"^ $"), _BLANK),
        normalizers.Strip(),
        normalizers.Replace(_BLANK, " "),
    ]
)


@dataclass(frozen=True, eq=False)
class Compression:
    """A map from token ids to compressed ids."""

    ids: NDArray[np.int64]  # (V,), the compressed id of every token id
    size: int  # number of compressed ids. Enters every hash multiplier
    pad: int  # compressed id of the padding token: what the hash sees before the first token
    vocabulary: str  # SHA-256 of the tokenizer's vocabulary


def compress_vocabulary(tokenizer: PreTrainedTokenizerBase, vocab_size: int) -> Compression:
    """Number the classes of tokens that read alike, in the order of their first token (arXiv 2601.07372, section 2.2).

    Args:
        tokenizer: With a padding token.
        vocab_size: Rows of the model's embedding, V. Ids beyond the tokenizer's, which no text has, count as padding.

    Raises:
        ValueError: The tokenizer has no padding token.
    """
    if tokenizer.pad_token_id is None:
        raise ValueError("Engram needs a tokenizer with a padding token: set tokenizer.pad_token first")
    tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(range(len(tokenizer))))]
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))], skip_special_tokens=False)
    numbers: dict[str, int] = {}
    ids = [numbers.setdefault(_key(token, text), len(numbers)) for token, text in zip(tokens, texts, strict=True)]
    pad = ids[tokenizer.pad_token_id]
    ids += [pad] * (vocab_size - len(ids))
    return Compression(np.array(ids), len(numbers), pad, _digest(tokens))


def _key(token: str, text: str) -> str:
    if _UNDECODABLE in text:
        return token
    return _NORMALIZER.normalize_str(text) or text


def _digest(tokens: list[str]) -> str:
    return hashlib.sha256("\0".join(tokens).encode()).hexdigest()
