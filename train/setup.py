"""What every trainer needs before it can start: environment, policy, records of both."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
from peft import PeftModel
from transformers.trainer_utils import get_last_checkpoint

from agents import engram
from agents.backbone import (
    DTYPES,
    Backbone,
    LoraSettings,
    add_adapter,
    attach_engram,
    load_adapter,
    load_backbone,
    save_adapter,
)
from memgym.envs.vector import MemoryVectorEnv
from memgym.records import MANIFEST, Manifest, plain
from train.settings import BackboneSettings, EnvSettings, LoraShape

TRAIN_ENGRAM = ("shared", "adapter", "frozen")
ADAPTER = "adapter"  # folder of a run that holds the trained adapter


def _module_name() -> str:
    """The trainer that is being run, as `python -m` takes it."""
    return f"train.{Path(sys.argv[0]).stem}"


def build_env(settings: EnvSettings, num_envs: int, changes: Mapping[str, Any] | None = None) -> MemoryVectorEnv:
    """The vector environment that the settings describe; ``changes`` replace single keyword arguments.

    Raises:
        SystemExit: They describe none; one line says why.
    """
    try:
        env = gymnasium.make_vec(f"memgym:{settings.id}", num_envs=num_envs, **{**settings.kwargs, **(changes or {})})
    except (ValueError, TypeError, OSError, gymnasium.error.Error) as error:
        raise SystemExit(f"error: {settings.id}: {error}") from error
    if not isinstance(env, MemoryVectorEnv):
        raise SystemExit(f"error: env.id={settings.id}: not a memory environment")
    return env


def build_policy(backbone: BackboneSettings, lora: LoraShape, seed: int) -> Backbone:
    """The backbone with a trainable adapter, fresh or loaded, named "default" as TRL wants it.

    Raises:
        SystemExit: There is no such backbone, adapter or dtype; one line says which.
    """
    if lora.dtype not in DTYPES:
        raise SystemExit(f"error: lora.dtype={lora.dtype!r}: expected one of {', '.join(DTYPES)}")
    try:
        loaded = _load_policy(backbone, lora, seed)
    except (OSError, ValueError) as error:
        raise SystemExit(f"error: {error}") from error
    for name, parameter in loaded.model.named_parameters():
        if parameter.requires_grad and "lora_" in name:
            parameter.data = parameter.data.to(DTYPES[lora.dtype])
    if isinstance(loaded.model, PeftModel):
        # A trainer that resumes has PEFT load the checkpoint's adapter, which would turn 16-bit weights into float32.
        loaded.model.load_adapter = partial(  # type: ignore[method-assign]
            loaded.model.load_adapter, autocast_adapter_dtype=False
        )
    return loaded


def _load_policy(backbone: BackboneSettings, lora: LoraShape, seed: int) -> Backbone:
    trained = backbone.train_engram or ("shared" if backbone.adapter is None else "frozen")
    if trained not in TRAIN_ENGRAM:
        raise ValueError(f"backbone.train_engram={trained!r}: expected one of {', '.join(TRAIN_ENGRAM)}")
    if backbone.adapter is not None and (backbone.engram or trained == "adapter"):
        raise ValueError("backbone.adapter brings the Engram it was trained with: backbone.engram goes without it")
    loaded = load_backbone(backbone.name, dtype=backbone.dtype)
    if backbone.adapter is None:
        attach_engram(loaded, backbone.engram)
        own = bool(backbone.engram) and trained == "adapter"
        add_adapter(loaded, "default", LoraSettings(lora.rank, lora.alpha, lora.dropout, lora.top_layers, own), seed=seed)
    else:
        load_adapter(loaded, backbone.adapter, "default", trainable=True)
    if engram.is_attached(loaded.model) and trained == "shared":
        engram.set_trainable(loaded.model, True)
    return loaded


def save_policy(backbone: Backbone, output_dir: str | Path) -> None:
    """Write the trained adapter into the run's folder."""
    save_adapter(backbone, "default", Path(output_dir) / ADAPTER)


def last_checkpoint(output_dir: str | Path) -> str:
    """The newest checkpoint of a run.

    Raises:
        SystemExit: There is none.
    """
    found = get_last_checkpoint(str(output_dir)) if Path(output_dir).is_dir() else None
    if found is None:
        raise SystemExit(f"error: --resume true, but there is no checkpoint in {output_dir}")
    return found


def write_manifest(output_dir: str | Path, settings: Any, env: MemoryVectorEnv, agent: str) -> None:
    """Say in the run's folder how it was made."""
    config = env.envs[0].config
    Manifest(
        command=" ".join(["python -m", _module_name(), *sys.argv[1:]]),
        env=settings.env.id,
        env_kwargs=plain(settings.env.kwargs),
        agent=agent,
        seed=settings.seed,
        reader=env.exam.reader.name,
        reward=env.envs[0].recipe.name,
        budget=asdict(config.make_budget()),
        data={"task": env.task.name, "sha256": getattr(env.task, "sha256", None)},
        extra={"settings": plain(asdict(settings))},
    ).write(Path(output_dir) / MANIFEST)
