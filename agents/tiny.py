"""Tiny random backbones with a byte-level tokenizer, built without any download: for tests and smoke runs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen3Config,
)

TINY_CONFIGS: dict[str, Callable[..., PreTrainedConfig]] = {
    "tiny-llama": LlamaConfig,
    "tiny-qwen2": Qwen2Config,
    "tiny-qwen3": Qwen3Config,
}
MAX_POSITIONS = 8192  # tokens; a byte is a token, so texts are about four times as long as with a real vocabulary

_CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")  # ids 0, 1, 2: padding, start and end of a message
_CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build_byte_tokenizer() -> PreTrainedTokenizerBase:
    """A tokenizer of 3 control tokens and one token per byte (259 in all), with a ChatML template. Lossless."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*_CONTROL_TOKENS, *alphabet])}
    core = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in _CONTROL_TOKENS])
    padding, start, end = _CONTROL_TOKENS
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token=padding,
        bos_token=start,
        eos_token=end,
        chat_template=_CHAT_TEMPLATE,
        model_max_length=MAX_POSITIONS,
    )


def build_tiny(
    name: str, *, seed: int = 0, dtype: torch.dtype = torch.float32
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A random model of about 35k parameters and its tokenizer; the same weights for the same seed and dtype.

    Args:
        name: A key of ``TINY_CONFIGS``.
        seed: Of the weights. The global random state is left as it was.
        dtype: Of the weights.

    Raises:
        ValueError: No tiny backbone has that name.
    """
    if name not in TINY_CONFIGS:
        raise ValueError(f"tiny backbone {name!r}: expected one of {', '.join(TINY_CONFIGS)}")
    tokenizer = build_byte_tokenizer()
    config = TINY_CONFIGS[name](
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=MAX_POSITIONS,
        # Not 0.02 and tied, as usual: such a model repeats its last token, and no test would notice broken attention.
        initializer_range=0.2,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    return model.eval(), tokenizer
