"""The models of an evaluation: one backbone in memory per name, and the adapters of all systems on it."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agents import engram, make_agent
from agents.answerer import AnswerAgent
from agents.backbone import Backbone, load_adapter, load_backbone
from agents.base import Agent
from agents.manager import MemoryManager
from agents.memlora import OPERATIONS, MemLoRA, adapter_name, load_adapters
from agents.trained_as import Record
from memgym.envs.config import READERS
from memgym.exam.reader import Reader
from memgym.tasks.task import Task
from train.evaluate_systems import ANSWERER, LEARNED, System, split_agent


class Models:
    """Backbones by name, and adapters by folder; each is loaded when a system first asks for it.

    A backbone is in memory once, but for what cannot be on one model together: two different Engrams, and two sets of
    MemLoRA's adapters, whose names are fixed. Those get a copy each.
    """

    def __init__(self, arguments: argparse.Namespace) -> None:
        """Load nothing yet.

        Args:
            arguments: ``backbone``, ``dtype``, ``runs``, and the options of the agents.
        """
        self.arguments = arguments
        self._backbones: dict[str, list[Backbone]] = {}
        self._adapters: dict[tuple[str, Path, bool], tuple[Backbone, str]] = {}
        self._memlora: dict[tuple[str, Path, bool], Backbone] = {}

    def get(self, name: str, folder: Path | None, *, engram_on: bool = True) -> tuple[Backbone, str | None]:
        """A backbone, and the name of the adapter in it.

        Args:
            name: Of the backbone.
            folder: Of the adapter; None for the bare backbone.
            engram_on: Whether the adapter computes with the Engram that it may have been trained with.

        Raises:
            ValueError: There is no such adapter or dtype.
            OSError: There is no such backbone.
        """
        if folder is None:
            return self._home(name), None
        key = (name, folder, engram_on)
        if key not in self._adapters:
            label = str(folder).replace(".", "_").replace("/", "_")  # PEFT forbids dots
            label += "" if engram_on else "_without_engram"
            backbone = self._home(name, [folder], taken=label)
            load_adapter(backbone, folder, label)
            backbone.without_engram |= set() if engram_on else {label}
            self._adapters[key] = backbone, label
        return self._adapters[key]

    def reader(self, system: System, window: int) -> str | Reader:
        """The system's reader, by name if it is a rule, else a language model.

        Args:
            system: With ``reader`` and its arguments.
            window: Longest context in lexical tokens, unless the arguments say otherwise.

        Raises:
            ValueError: A rule is given arguments, or as for ``get`` and ``AnswerAgent``.
        """
        name, _, adapter = system.reader.partition("@")
        if name in READERS:
            if system.reader_kwargs:
                raise ValueError(f"reader {name} takes no reader_kwargs: expected {ANSWERER} or a backbone")
            return name
        backbone, label = self.get(
            self._name(system) if name == ANSWERER else name,
            self.arguments.runs / adapter if adapter else None,
            engram_on=system.engram,
        )
        return AnswerAgent(backbone, label, **{"window": window, "progress": True, **system.reader_kwargs})

    def agent(self, system: System, task: Task) -> Agent:
        """The system's agent for a task.

        Raises:
            ValueError: An adapter is missing or was trained otherwise, or an option has no such value.
            TypeError: The agent has no such argument.
        """
        _, name, adapter = split_agent(system.agent)
        if name not in LEARNED:
            return make_agent(name, task=task, **system.agent_kwargs)
        folder = self.arguments.runs / adapter if adapter else None
        options = self._manager(system, folder) if name == "manager" else self._memlora_options(system, folder)
        sampling = {"temperature": self.arguments.temperature, "seed": self.arguments.seed}
        return make_agent(name, task=task, **{**options, **sampling, **system.agent_kwargs})

    def _manager(self, system: System, folder: Path | None) -> dict[str, Any]:
        backbone, label = self.get(self._name(system), folder, engram_on=system.engram)
        written = {name: getattr(self.arguments, name) for name in ("codec", "style", "search", "max_new_tokens")}
        return {"backbone": backbone, "adapter": label, **written}

    def _memlora_options(self, system: System, folder: Path | None) -> dict[str, Any]:
        limit = self.arguments.max_new_tokens
        options: dict[str, Any] = {} if limit is None else {"max_new_tokens": limit}
        if folder is None:  # the bare backbone is told what to do at length
            return {
                "backbone": self._home(self._name(system)),
                "extract": None,
                "update": None,
                "style": "full",
            } | options
        return {"backbone": self._memlora_backbone(self._name(system), folder, system.engram)} | options

    def _memlora_backbone(self, name: str, folder: Path, engram_on: bool) -> Backbone:
        key = (name, folder, engram_on)
        if key not in self._memlora:
            folders = [folder / operation for operation in OPERATIONS]
            backbone = self._home(name, folders, taken=adapter_name("extract"))
            found = load_adapters(backbone, folder)
            backbone.without_engram |= set() if engram_on else {adapter_name(operation) for operation in found}
            self._memlora[key] = backbone
        return self._memlora[key]

    def _name(self, system: System) -> str:
        return system.backbone or self.arguments.backbone

    def _home(self, name: str, folders: Iterable[Path] = (), taken: str | None = None) -> Backbone:
        """A backbone of that name which adapters from these folders can join, under names that are free in it."""
        ours = [folder for folder in folders if engram.has_engram(folder)]
        loaded = self._backbones.setdefault(name, [])
        for backbone in loaded:
            engram_fits = not engram.is_attached(backbone.model) or all(
                engram.is_saved_in(backbone.model, folder) for folder in ours
            )
            if engram_fits and taken not in backbone.adapters:
                return backbone
        loaded.append(load_backbone(name, dtype=self.arguments.dtype))
        return loaded[-1]


def agent_record(agent: Agent) -> Record:
    """The format in which a language model manages the memory; empty for a rule."""
    if isinstance(agent, MemoryManager):
        return agent.record
    if isinstance(agent, MemLoRA):
        return {"role": "memlora", "styles": agent.styles, "max_new_tokens": agent.max_new_tokens}
    return {}


def digest(folder: Path) -> str:
    """SHA-256 over the weights and settings of an adapter, its Engram included."""
    total = hashlib.sha256()
    for path in sorted([*folder.glob("*.safetensors"), *folder.glob("*.json")]):
        with path.open("rb") as file:
            total.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return total.hexdigest()
