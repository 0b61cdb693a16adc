"""Batched generation: many prompts in, sampled token ids out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from agents.backbone import Backbone, active_adapter
from agents.decoding import Prompt, decode

# Positions of prompts and completions held in the key-value cache at once. A CPU is slower with more.
MAX_BATCH_TOKENS = 32768
MAX_BATCH_TOKENS_CPU = 16384


@dataclass(frozen=True, slots=True)
class Generation:
    """One completion, as sampled."""

    prompt_ids: Prompt
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
    max_batch_tokens: int | None = None,
    progress: str = "",
) -> list[Generation]:
    """Complete every prompt with the model's active adapter; results in the order of the prompts.

    Prompts are sorted by length and cut into batches. The model may be in training mode with gradient checkpointing:
    it is in eval mode for the call and then as it was. Sampling is from the plain softmax: no top-k, top-p or
    repetition penalty, whatever the model's own generation defaults say.

    Args:
        model: Any causal language model, plain or with adapters.
        tokenizer: Its tokenizer.
        prompts: Texts, tokenised as they are with nothing added, or token ids.
        max_new_tokens: Longest completion, in tokens.
        temperature: 0 is greedy.
        seed: Of the sampling. The global random state is neither read nor changed. The same seed, prompts and
            ``max_batch_tokens`` give the same completions on the same device and dtype.
        max_batch_tokens: Most positions, rows x (longest prompt + max_new_tokens), of one batch; bounds memory. None
            is 32,768, or 16,384 on a CPU.
        progress: What a progress bar over the prompts is called, which goes when they are done; "" for none.

    Raises:
        ValueError: A negative temperature, no tokens to generate, or an empty prompt.
    """
    if temperature < 0 or max_new_tokens < 1:
        raise ValueError(
            f"temperature={temperature}, max_new_tokens={max_new_tokens}: expected a temperature of at least 0 and "
            "at least 1 token"
        )
    ids = _tokenise(tokenizer, prompts)
    if max_batch_tokens is None:
        max_batch_tokens = MAX_BATCH_TOKENS_CPU if model.device.type == "cpu" else MAX_BATCH_TOKENS
    rows = list(dict.fromkeys(ids)) if temperature == 0 else ids  # equal prompts have equal greedy completions
    ends = _end_ids(model, tokenizer)
    generator = torch.Generator(device=model.device).manual_seed(seed)
    completions: dict[int, list[int]] = {}
    with (
        _eval_mode(model),
        _adapters_in_model_dtype(model),
        tqdm(total=len(rows), desc=progress, unit="prompt", leave=False, disable=not progress) as bar,
    ):
        for batch in _batches([len(row) for row in rows], max_new_tokens, max_batch_tokens):
            completed = decode(
                model,
                [rows[i] for i in batch],
                max_new_tokens=max_new_tokens,
                ends=ends,
                pad=tokenizer.pad_token_id,
                temperature=temperature,
                generator=generator,
            )
            completions.update(zip(batch, completed, strict=True))
            bar.update(len(batch))
    results = [_result(tokenizer, row, completions[i], ends) for i, row in enumerate(rows)]
    if temperature > 0:
        return results
    by_prompt = dict(zip(rows, results, strict=True))
    return [by_prompt[row] for row in ids]


def generate_with(
    backbone: Backbone,
    adapter: str | None,
    prompts: Sequence[str] | Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    seed: int = 0,
    max_batch_tokens: int | None = None,
    progress: str = "",
) -> list[Generation]:
    """``generate`` with one adapter of a backbone, or with none; afterwards the backbone is as it was.

    Raises:
        ValueError: The backbone has no such adapter; or as ``generate`` does.
    """
    with active_adapter(backbone, adapter):
        return generate(
            backbone.model,
            backbone.tokenizer,
            prompts,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            seed=seed,
            max_batch_tokens=max_batch_tokens,
            progress=progress,
        )


def call_seed(seed: int, call: int) -> int:
    """Seed of an agent's n-th call: every one samples with a seed of its own."""
    return (seed * 1_000_003 + call) % (1 << 63)


def _tokenise(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str] | Sequence[Sequence[int]]) -> list[Prompt]:
    ids = [
        tuple(tokenizer(prompt, add_special_tokens=False)["input_ids"] if isinstance(prompt, str) else prompt)
        for prompt in prompts
    ]
    if () in ids:
        raise ValueError(f"prompt {ids.index(())} is empty: expected at least one token")
    return ids


def _end_ids(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Ids that end a reply: the tokenizer's, and those the model's generation defaults list (Qwen and Llama do)."""
    listed = model.generation_config.eos_token_id
    return frozenset([tokenizer.eos_token_id, *(listed if isinstance(listed, list) else [listed])]) - {None}


def _batches(lengths: Sequence[int], max_new_tokens: int, max_batch_tokens: int) -> Iterator[list[int]]:
    """Indices of prompts by falling length, so that the batch most likely to exhaust memory comes first."""
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    while order:
        rows = max(1, max_batch_tokens // (lengths[order[0]] + max_new_tokens))
        yield order[:rows]
        order = order[rows:]


def _result(
    tokenizer: PreTrainedTokenizerBase, prompt: Prompt, completion: list[int], ends: frozenset[int]
) -> Generation:
    text = tokenizer.decode(completion, skip_special_tokens=True)
    return Generation(prompt, tuple(completion), cast(str, text), truncated=completion[-1] not in ends)


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
def _adapters_in_model_dtype(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Within the block LoRA weights have the dtype of the weights they adapt; the originals come back untouched.

    PEFT keeps them in float32 for the optimiser and converts every activation to and fro, which makes a bfloat16
    prefill on a CPU half as slow again (1.48x; 1.10x within this block). On the CPU only: elsewhere the weights may
    be sharded, and a swap under the sharding engine's feet is not ours to make.
    """
    adapted = [name for name, _ in model.named_parameters() if "lora_" in name]
    if model.device.type != "cpu" or not adapted:
        yield
        return
    dtype = next(parameter for name, parameter in model.named_parameters() if "lora_" not in name).dtype
    places = [(model.get_submodule(name.rpartition(".")[0])._parameters, name.rpartition(".")[2]) for name in adapted]
    kept = [model.get_parameter(name) for name in adapted]
    # Other objects, not other data: with its dtype a parameter loses the hooks by which processes average gradients.
    for (parameters, key), parameter in zip(places, kept, strict=True):
        parameters[key] = torch.nn.Parameter(parameter.detach().to(dtype), requires_grad=False)
    try:
        yield
    finally:
        for (parameters, key), parameter in zip(places, kept, strict=True):
            parameters[key] = parameter
