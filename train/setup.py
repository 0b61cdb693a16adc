"""What every trainer needs before it can start: environment, policy, records of both."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import torch
from peft import PeftModel
from transformers.trainer_utils import get_last_checkpoint

from agents import engram
from agents.answer_policy import AnswerPolicy
from agents.answerer import AnswerAgent
from agents.backbone import (
    DTYPES,
    Backbone,
    LoraSettings,
    active_adapter,
    add_adapter,
    attach_engram,
    load_adapter,
    load_backbone,
    save_adapter,
)
from agents.manager import MemoryManager
from agents.memlora import MemLoRA, adapter_name
from agents.trained_as import with_env
from memgym.envs.config import EnvConfig
from memgym.envs.spaces import Unicode
from memgym.envs.vector import MemoryVectorEnv
from memgym.protocol import describe_env
from memgym.records import MANIFEST, Manifest, plain
from train.settings import AgentSettings, BackboneSettings, EnvSettings, LoraShape, merged

TRAIN_ENGRAM = ("shared", "adapter", "frozen")
ADAPTER = "adapter"  # folder of a run that holds the trained adapter
ANSWERER = "answerer"  # name in the backbone of the adapter that sits the exam
FREE = ("output_dir", "resume", "max_steps", "save_every", "report_to")  # may change when a run is resumed; eval_* too

TrainedPolicy = MemoryManager | AnswerPolicy | MemLoRA


@dataclass
class PolicySettings(AgentSettings):
    """How the policy that is trained reads and writes; the environment decides which one it is (``trained_policy``).

    A Memory Manager where actions are operations on a memory, an Answer Agent where they are replies. From MemLoRA's
    extraction adapter it is MemLoRA, whose extractions are trained.
    """

    distil: bool | None = None
    """Of an Answer Agent: name the useful memories before the answer. None is as its adapter was trained, else true."""
    update: str | None = None
    """Of MemLoRA: folder of its update adapter, which is not trained."""


def _module_name() -> str:
    """The trainer that is being run, as `python -m` takes it."""
    return f"train.{Path(sys.argv[0]).stem}"


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Within the block a mistake in the settings ends the program with one line.

    For what comes before the training alone: an error in the training itself is worth its traceback.
    """
    try:
        yield
    except (ValueError, TypeError, OSError) as error:
        raise SystemExit(f"error: {' '.join(str(error).split())}") from error


def build_env(settings: EnvSettings, num_envs: int, changes: Mapping[str, Any] | None = None) -> MemoryVectorEnv:
    """The vector environment that the settings describe, with ``changes`` to its keyword arguments.

    Mappings among the changes are merged with those they change, key by key.

    Raises:
        SystemExit: They describe none; one line says why.
    """
    try:
        env = gymnasium.make_vec(f"memgym:{settings.id}", num_envs=num_envs, **merged(settings.kwargs, changes or {}))
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
    with one_line_errors():
        loaded = _load_policy(backbone, lora, seed)
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
        add_adapter(
            loaded, "default", LoraSettings(lora.rank, lora.alpha, lora.dropout, lora.top_layers, own), seed=seed
        )
    else:
        load_adapter(loaded, backbone.adapter, "default", trainable=True)
    if engram.is_attached(loaded.model) and trained == "shared":
        engram.set_trainable(loaded.model, True)
    return loaded


def save_policy(backbone: Backbone, output_dir: str | Path, weights: Mapping[str, torch.Tensor] | None = None) -> None:
    """Write the trained adapter into the run's folder; ``weights`` as for ``agents.backbone.save_adapter``."""
    save_adapter(backbone, "default", Path(output_dir) / ADAPTER, weights)


def answers_itself(env: MemoryVectorEnv) -> bool:
    """Whether the policy answers the questions, as in an answer environment, rather than a reader of its memory."""
    return isinstance(env.single_action_space, Unicode)


def shown_by(env: MemoryVectorEnv) -> dict[str, Any]:
    """The settings of an environment by the names of ``EnvConfig``, for the record of what is trained in it."""
    config = env.envs[0].config
    shown = {one.name: getattr(config, one.name) for one in fields(config)}
    return shown | ({"retrieve": shown["memories"]} if "memories" in shown else {})  # of an answer environment


def trained_policy(backbone: Backbone, agent: PolicySettings, env: MemoryVectorEnv, seed: int) -> TrainedPolicy:
    """The policy that is trained: it acts with the adapter "default", which is recorded as what it becomes.

    Args:
        backbone: With that adapter.
        agent: How the policy reads and writes.
        env: Where it acts.
        seed: Of its samples.

    Raises:
        ValueError: A setting is the other kind of policy's, or the adapter was trained as something else.
    """
    policy: TrainedPolicy
    shown = shown_by(env)
    extracts = backbone.trained_as.get("default", {}).get("role") == "extract"
    if answers_itself(env) or extracts:
        for name in ("codec", "style", "search"):
            if (value := getattr(agent, name)) != getattr(AgentSettings, name):
                raise ValueError(f"agent.{name}={value!r} is a Memory Manager's: this policy has a format of its own")
    if agent.update is not None and not extracts:
        raise ValueError(f"agent.update={agent.update!r} is MemLoRA's: it goes with its extraction adapter alone")
    if answers_itself(env):
        policy = AnswerPolicy(
            backbone,
            adapter="default",
            distil=agent.distil,
            max_new_tokens=agent.max_new_tokens,
            temperature=agent.temperature,
            seed=seed,
        )
        shown["context_tokens"] = policy.window
    elif agent.distil is not None:
        raise ValueError(f"agent.distil={agent.distil} is an Answer Agent's: this environment takes operations")
    elif extracts:
        policy = _memlora(backbone, agent, seed)
    else:
        options = {name: value for name, value in vars(agent).items() if name not in ("distil", "update")}
        policy = MemoryManager(backbone, adapter="default", seed=seed, **options)
    backbone.trained_as["default"] = with_env(policy.record, shown)
    return policy


def _memlora(backbone: Backbone, agent: PolicySettings, seed: int) -> MemLoRA:
    """MemLoRA with the adapter "default" as the one that extracts."""
    if agent.update is None:
        raise ValueError("agent.update is not set: MemLoRA, whose extraction is trained, needs its update adapter")
    with active_adapter(backbone, "default"):
        load_adapter(backbone, agent.update, adapter_name("update"))
    return MemLoRA(
        backbone,
        extract="default",
        max_new_tokens=agent.max_new_tokens,
        temperature=agent.temperature,
        seed=seed,
    )


def with_answerer(env: EnvSettings, folder: str | None, backbone: Backbone) -> EnvSettings:
    """The environment, with its exam sat by a frozen Answer Agent on the policy's own backbone.

    Args:
        env: As the settings say.
        folder: Of the Answer Agent's adapter; None leaves the environment as it is.
        backbone: With the adapter "default", which stays the active one.

    Raises:
        ValueError: There is no such adapter, it is none of an Answer Agent, the environment has a reader already, or
            needs none.
    """
    if folder is None:
        return env
    if "reader" in env.kwargs:
        raise ValueError("answerer and env.kwargs.reader both say who sits the exam: leave one of them out")
    if answers_itself(build_env(env, 1)):
        raise ValueError(f"answerer={folder!r}: in {env.id} the policy that is trained answers itself: leave it out")
    with active_adapter(backbone, "default"):
        load_adapter(backbone, folder, ANSWERER)
    reader = AnswerAgent(backbone, ANSWERER, window=window_for(env.kwargs), name=f"lm({backbone.name}, {folder})")
    return EnvSettings(env.id, {**env.kwargs, "reader": reader})


def window_for(kwargs: Mapping[str, Any]) -> int:
    """Window of a reader that is to see all that an environment with these settings shows it, in lexical tokens."""
    return max(EnvConfig().context_tokens, kwargs.get("context_tokens", 0))


def starting_point(settings: Any, free: Sequence[str] = ()) -> str | None:
    """The checkpoint that a run goes on from; None for one that starts anew.

    Args:
        settings: Of the run.
        free: Settings that a resumed run may change besides its length, its evaluations and its reports.

    Raises:
        SystemExit: A new run in the folder of an earlier one, a resumed one without a checkpoint, or with other
            settings than it began with; one line says which.
    """
    folder = settings.output_dir
    if not settings.resume:
        found = _newest_checkpoint(folder)
        if found is not None:
            raise SystemExit(
                f"error: {found} is there from an earlier run: choose another output_dir, go on with --resume true, "
                f"or delete {folder}"
            )
        return None
    found = last_checkpoint(folder)
    check_resumed(settings, free)
    return found


def check_resumed(settings: Any, free: Sequence[str] = ()) -> None:
    """See that a run goes on with the settings it began with.

    Args:
        settings: Of the run that goes on.
        free: As for ``starting_point``.

    Raises:
        SystemExit: One differs; one line says which.
    """
    folder = settings.output_dir
    with one_line_errors():
        began = _leaves(Manifest.read(folder).extra.get("settings", {}))
    now = _leaves(plain(asdict(settings)))
    for name in {**now, **began}:
        group = name.partition(".")[0]
        before, after = began.get(name, "not set"), now.get(name, "not set")
        if before != after and group not in (*FREE, *free) and not group.startswith("eval_"):
            raise SystemExit(
                f"error: --resume true, but {name} is {after!r} and was {before!r} when the run in {folder} began: "
                "resume with its settings, or choose another output_dir"
            )


def _leaves(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Settings by their dotted names."""
    leaves: dict[str, Any] = {}
    for key, value in settings.items():
        leaves |= _leaves(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return leaves


def last_checkpoint(output_dir: str | Path) -> str:
    """The newest checkpoint of a run.

    Raises:
        SystemExit: There is none.
    """
    found = _newest_checkpoint(output_dir)
    if found is None:
        raise SystemExit(f"error: --resume true, but there is no checkpoint in {output_dir}")
    return found


def _newest_checkpoint(output_dir: str | Path) -> str | None:
    return get_last_checkpoint(str(output_dir)) if Path(output_dir).is_dir() else None


def write_manifest(output_dir: str | Path, settings: Any, env: MemoryVectorEnv, agent: str) -> None:
    """Say in the run's folder how it was made."""
    Manifest(
        command=" ".join(["python -m", _module_name(), *sys.argv[1:]]),
        env=settings.env.id,
        env_kwargs=plain(settings.env.kwargs),
        agent=agent,
        seed=settings.seed,
        **describe_env(env),
        extra={"settings": plain(asdict(settings))},
    ).write(Path(output_dir) / MANIFEST)
