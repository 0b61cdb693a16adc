"""Engram on a Hugging Face decoder (Llama, Qwen2, Qwen3): attach, detach, switch off. No parameter is renamed.

Three things are added to the decoder: a hasher on it, an EngramLayer on some of its layers, and two hooks, which
transformers calls before a forward pass:

- before the decoder, ``_look_up`` hashes the ids, once for all layers, and puts a Lookup into the keyword arguments,
  which decoders hand on to their layers;
- before every layer, ``_add_memory`` takes the Lookup out again and adds the memory to the hidden states.

The Lookup travels in the arguments, not on the model, so that a call can only ever see its own. The hooks are functions
of the module they are called with, so that a deep copy of the model is independent of the original.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import PeftModel
from peft.utils import ModulesToSaveWrapper
from torch import nn
from transformers import Cache, DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from agents.engram.compression import compress_vocabulary
from agents.engram.config import EngramConfig
from agents.engram.hashing import DEAD, NgramHasher
from agents.engram.host import HostTable
from agents.engram.layer import EngramLayer, Lookup
from agents.engram.lookback import link, link_by_attention, look_back
from agents.engram.state import IDS, extend, state_of

_ARGUMENTS = ("input_ids", "attention_mask", "position_ids", "past_key_values", "inputs_embeds", "use_cache")


def attach(model: PreTrainedModel | PeftModel, tokenizer: PreTrainedTokenizerBase, config: EngramConfig) -> None:
    """Add Engram to a loaded model, trainable. With the preset "retrofit" no output changes, not by a bit.

    Args:
        model: Changed in place. Beside LoRA adapters Engram is shared by all of them and stays on when they are off.
        tokenizer: Its tokenizer; the addresses of n-grams depend on it.
        config: Sizes and layers.

    Raises:
        ValueError: The model has an Engram already, no such layers, or another shape than Llama's and Qwen's.
    """
    _check_absent(model)
    shape = _decoder(model).config
    compression = compress_vocabulary(tokenizer, shape.vocab_size)
    graft(model, NgramHasher(config.resolve(shape.num_hidden_layers), compression))


def graft(model: PreTrainedModel | PeftModel, hasher: NgramHasher) -> None:
    """``attach`` with a hasher that exists already."""
    _check_absent(model)
    decoder = _decoder(model)
    config = hasher.config
    decoder.engram_hasher = hasher.to(decoder.embed_tokens.weight.device)
    tables = enumerate(zip(config.layers or (), hasher.table_rows, strict=True))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(config.seed)  # of the CPU alone: torch.manual_seed reseeds accelerators too
        for slot, (index, rows) in tables:
            layer = decoder.layers[index]
            engram = EngramLayer(config, slot, rows, decoder.config.hidden_size)
            layer.engram = engram.to(next(layer.parameters()).device).train(layer.training)
    decoder.register_forward_pre_hook(_look_up, with_kwargs=True)
    for layer in decoder.layers:
        layer.register_forward_pre_hook(_add_memory, with_kwargs=True)


def _check_absent(model: PreTrainedModel | PeftModel) -> None:
    if is_attached(model):
        raise ValueError("the model has an Engram already: detach it first")


def detach(model: PreTrainedModel | PeftModel) -> None:
    """Remove Engram, all its weights and hooks; the model is as it was before."""
    decoder = _decoder(model)
    _remove_hook(decoder, _look_up)
    for layer in decoder.layers:
        _remove_hook(layer, _add_memory)
    for index in hasher_of(model).config.layers or ():
        del decoder.layers[index].engram
    del decoder.engram_hasher


def _remove_hook(module: nn.Module, hook: Any) -> None:
    # By what they do rather than by handle: a deep copy of the model has the hooks but nobody's handles.
    for key in [key for key, registered in module._forward_pre_hooks.items() if registered is hook]:
        del module._forward_pre_hooks[key], module._forward_pre_hooks_with_kwargs[key]


def is_attached(model: PreTrainedModel | PeftModel) -> bool:
    """Whether the model has an Engram."""
    return hasattr(_decoder(model), "engram_hasher")


def hasher_of(model: PreTrainedModel | PeftModel) -> NgramHasher:
    """The hasher of the model's Engram, with its configuration.

    Raises:
        ValueError: There is no Engram.
    """
    if not is_attached(model):
        raise ValueError("the model has no Engram: attach or load one first")
    return _decoder(model).engram_hasher


def engram_layers(model: PreTrainedModel | PeftModel) -> dict[int, EngramLayer]:
    """The Engram of each layer that has one, by layer number; of the active adapter if adapters have their own.

    Raises:
        ValueError: There is no Engram.
    """
    return {index: _active(layer) for index, layer in _wrapped_layers(model).items()}


def shared_layers(model: PreTrainedModel | PeftModel) -> dict[int, EngramLayer]:
    """Like ``engram_layers``, but always the Engram that all adapters share, not the copy of one."""
    wrapped = _wrapped_layers(model).items()
    return {i: layer.original_module if isinstance(layer, ModulesToSaveWrapper) else layer for i, layer in wrapped}


def set_trainable(model: PreTrainedModel | PeftModel, trainable: bool) -> None:
    """Whether the weights of Engram get gradients. PEFT freezes them together with the model it wraps."""
    for layer in engram_layers(model).values():
        layer.requires_grad_(trainable)


@contextmanager
def engram_off(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Within the block the model computes without Engram, exactly. A cache must not be carried across its borders."""
    layers = [module for module in _decoder(model).modules() if isinstance(module, EngramLayer) and module.enabled]
    for layer in layers:
        layer.enabled = False
    try:
        yield
    finally:
        for layer in layers:
            layer.enabled = True


def _decoder(model: PreTrainedModel | PeftModel) -> Any:
    """The stack of layers within a model."""
    plain = model.get_base_model() if isinstance(model, PeftModel) else model
    decoder = plain.base_model
    if not hasattr(decoder, "layers") or not hasattr(decoder, "embed_tokens"):
        raise ValueError(f"Engram needs a decoder of the shape of Llama, Qwen2 or Qwen3, not {type(decoder).__name__}")
    return decoder


def _wrapped_layers(model: PreTrainedModel | PeftModel) -> dict[int, Any]:
    layers = _decoder(model).layers
    return {index: layers[index].engram for index in hasher_of(model).config.layers or ()}


def _active(module: Any) -> EngramLayer:
    """What a PEFT wrapper of ``modules_to_save`` stands for at the moment; anything else is itself."""
    if not isinstance(module, ModulesToSaveWrapper):
        return module
    names = () if module.disable_adapters else module.active_adapters
    return next(
        (module.modules_to_save[name] for name in names if name in module.modules_to_save), module.original_module
    )


def _look_up(decoder: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[()], dict[str, Any]]:
    """Before the decoder: hash the ids and send the result along."""
    kwargs.update(zip(_ARGUMENTS, args, strict=False))
    ids = kwargs.pop("engram_input_ids", kwargs.get("input_ids"))
    layers = [_active(layer.engram) for layer in decoder.layers if hasattr(layer, "engram")]
    layers = [layer for layer in layers if layer.enabled]
    if layers:
        kwargs["engram"] = _lookup(decoder, layers, ids, kwargs)
    return (), kwargs


def _lookup(decoder: Any, layers: list[EngramLayer], ids: torch.Tensor | None, kwargs: dict[str, Any]) -> Lookup:
    if ids is None:
        raise ValueError("Engram reads token ids: pass engram_input_ids (B, T) beside inputs_embeds")
    hasher: NgramHasher = decoder.engram_hasher
    cache = _cache(decoder, kwargs)
    state = None if cache is None else state_of(cache, len(decoder.layers))
    mask = kwargs.get("attention_mask")
    live = _live(mask, ids)
    history = extend(state, IDS, hasher.compress(ids, live), null=DEAD)[:, 1:]
    links = _links(history, mask, None if state else kwargs.get("position_ids"))
    back = look_back(links, ids.shape[1], hasher.config.reach)
    rows = hasher(history, back)
    fetched = {e.slot: e.table.fetch(rows[e.slot]) for e in layers if isinstance(e.table, HostTable)}
    return Lookup(rows, back, live, state, fetched)


def _cache(decoder: Any, kwargs: dict[str, Any]) -> Cache | None:
    """The cache the decoder will use, made here if the decoder would make it."""
    if decoder.gradient_checkpointing and decoder.training:
        return None  # transformers then drops any cache
    use_cache = kwargs.get("use_cache")
    if kwargs.get("past_key_values") is None and (decoder.config.use_cache if use_cache is None else use_cache):
        kwargs["past_key_values"] = DynamicCache(config=decoder.config)
    return kwargs.get("past_key_values")


def _live(mask: Any, ids: torch.Tensor) -> torch.Tensor | None:
    """Which of the ids (B, T) are no padding, by a mask (B, cached + T)."""
    if mask is None or (isinstance(mask, torch.Tensor) and mask.dim() == 4):
        return None
    if not isinstance(mask, torch.Tensor) or mask.dim() != 2:
        raise ValueError(
            "Engram reads attention masks of shape (B, S) and (B, 1, S, S): use a dynamic cache and no other"
        )
    return mask[:, -ids.shape[1] :].bool()


def _links(history: torch.Tensor, mask: torch.Tensor | None, positions: torch.Tensor | None) -> torch.Tensor:
    """Links through the compressed ids so far (B, S)."""
    if mask is None or mask.dim() == 2:
        starts = None if positions is None else _restarts(positions).expand(history.shape[0], -1)
        return link(history != DEAD, starts)
    if mask.shape[2] != history.shape[1]:
        raise ValueError(
            f"Engram cannot continue a cache with an attention mask of shape {tuple(mask.shape)}: use (B, S)"
        )
    return link_by_attention(mask).expand(history.shape[0], -1)


def _restarts(positions: torch.Tensor) -> torch.Tensor:
    """Where packed texts start (B, T): the position does not rise."""
    return torch.nn.functional.pad(positions[:, 1:] <= positions[:, :-1], (1, 0))


def _add_memory(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Before every layer: take the lookup out of the arguments and, where there is an Engram, use it."""
    lookup = kwargs.pop("engram", None)
    engram = _active(getattr(layer, "engram", None))
    if lookup is None or engram is None or not engram.enabled:
        return args, kwargs
    hidden, *rest = args
    return (hidden + engram(hidden, lookup), *rest), kwargs
