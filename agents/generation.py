"""Batched generation: many prompts in, sampled token ids out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from peft import PeftModel
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

MAX_BATCH_TOKENS = 32768  # prompt and completion positions held in the key-value cache at once


@dataclass(frozen=True, slots=True)
class Generation:
    """One completion, as sampled."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]  # the sampled ids; the end token is the last one iff it was generated
    text: str  # completion_ids decoded without special tokens
    truncated: bool  # no end token within max_new_tokens


def generate(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    max_batch_tokens: int = MAX_BATCH_TOKENS,
) -> list[Generation]:
    """Complete every prompt with the model's active adapter; results in the order of the prompts.

    Prompts are sorted by length, cut into batches and padded on the left. The model may be in training mode with
    gradient checkpointing: it is put in eval mode for the call and back. Sampling uses the plain softmax at
    ``temperature``: no top-k, top-p or repetition penalty, whatever the model's own defaults say.

    Args:
        model: any causal language model, plain or with adapters.
        tokenizer: its tokenizer.
        prompts: texts (tokenised as they are, nothing added) or token ids.
        max_new_tokens: longest completion, in tokens.
        temperature: 0 = greedy.
        seed: of the sampling. The global random state is neither read nor changed. The same seed, prompts and batch
            limit give the same completions on the same device and dtype; another batch limit gives other samples.
        max_batch_tokens: most positions (rows x (longest prompt + max_new_tokens)) in one batch; bounds memory.

    Raises:
        ValueError: a negative temperature, no tokens to generate, or an empty prompt.
    """
    if temperature < 0 or max_new_tokens < 1:
        raise ValueError(
            f"temperature={temperature}, max_new_tokens={max_new_tokens}: expected temperature >= 0, max_new_tokens >= 1"
        )
    ids = _tokenise(tokenizer, prompts)
    config = _generation_config(model, tokenizer, max_new_tokens, temperature)
    results: dict[int, Generation] = {}
    with _eval_mode(model), _own_rng(model, seed):
        for rows in _batches([len(row) for row in ids], max_new_tokens, max_batch_tokens):
            completions = _complete(model, [ids[i] for i in rows], config)
            for i, completion in zip(rows, completions, strict=True):
                results[i] = _result(tokenizer, ids[i], completion, config.eos_token_id)
    return [results[i] for i in range(len(ids))]


def _tokenise(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str] | Sequence[Sequence[int]]) -> list[list[int]]:
    ids = [
        tokenizer(prompt, add_special_tokens=False)["input_ids"] if isinstance(prompt, str) else list(prompt)
        for prompt in prompts
    ]
    if not all(ids):
        raise ValueError(f"prompt {next(i for i, row in enumerate(ids) if not row)} is empty: expected at least one token")
    return ids


def _generation_config(
    model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, max_new_tokens: int, temperature: float
) -> GenerationConfig:
    """Every field that a model's own defaults could fill in is set here, so that none of them leaks in."""
    own_ends = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(own_ends if isinstance(own_ends, list) else [own_ends])} - {None}
    return GenerationConfig(
        max_new_tokens=max_new_tokens,
        do_sample=temperature > 0,
        temperature=temperature or 1.0,
        top_k=0,
        top_p=1.0,
        repetition_penalty=1.0,
        eos_token_id=sorted(ends),
        pad_token_id=tokenizer.pad_token_id,
        use_cache=True,  # a trainer with gradient checkpointing turns it off in the model's configuration
    )


def _batches(lengths: Sequence[int], max_new_tokens: int, max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices of prompts by falling length, so that the batch most likely to exhaust memory comes first."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        rows = max(1, max_batch_tokens // (lengths[order[0]] + max_new_tokens))
        yield order[:rows]
        order = order[rows:]


def _complete(
    model: PreTrainedModel | PeftModel, prompts: Sequence[list[int]], config: GenerationConfig
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), config.pad_token_id, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    output = model.generate(
        input_ids=ids.to(model.device), attention_mask=mask.to(model.device), generation_config=config
    )
    return output[:, width:].tolist()


def _result(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], completion: Sequence[int], ends: Sequence[int]
) -> Generation:
    end = next((position for position, token in enumerate(completion) if token in ends), None)
    kept = completion if end is None else completion[: end + 1]  # what follows the end token is padding
    text = tokenizer.decode(kept, skip_special_tokens=True)
    return Generation(tuple(prompt), tuple(kept), text, truncated=end is None)


@contextmanager
def _eval_mode(model: torch.nn.Module) -> Iterator[None]:
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def _own_rng(model: PreTrainedModel | PeftModel, seed: int) -> Iterator[None]:
    devices = [] if model.device.type == "cpu" else [model.device]
    with torch.random.fork_rng(devices=devices, device_type=model.device.type if devices else "cuda"):
        torch.manual_seed(seed)
        yield
