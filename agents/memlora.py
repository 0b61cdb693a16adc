"""MemLoRA: one small backbone, one LoRA adapter per memory operation (arXiv 2512.04763)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agents.backbone import Backbone, load_adapter
from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from agents.generation import call_seed, generate_with
from agents.prompts import extract as extract_prompt
from agents.prompts import update as update_prompt
from agents.prompts.chat import chat_ids
from agents.trained_as import Record, options_of

OPERATIONS = ("extract", "update", "answer")
"""The operations that have an adapter; the last one is an ``agents.answerer.AnswerAgent``'s."""
STYLES = tuple(extract_prompt.SYSTEM)


def adapter_name(operation: str) -> str:
    """What the adapter of an operation is called in a backbone; torch keeps plain "update" for itself."""
    return f"memory_{operation}"


class MemLoRA(FactPipeline):
    """The manager of MemLoRA: the adapter is switched per operation, the backbone stays in memory once.

    With both adapters None and style "full" it is the bare backbone, as a teacher or as the untrained reference.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        extract: str | None = adapter_name("extract"),
        update: str | None = adapter_name("update"),
        style: str | None = None,
        similar: int = 5,
        max_new_tokens: int = 160,
        temperature: float = 0.0,
        seed: int = 0,
        name: str = "memlora",
    ) -> None:
        """Create the agent.

        Args:
            backbone: Model and tokenizer, shared with any other agent.
            extract: The adapter that extracts facts; None for the bare backbone.
            update: The adapter that updates the memory; None for the bare backbone.
            style: Prompt style: "terse" for models trained on it, "full" for models that follow instructions; None is
                as the adapters were trained (``agents.trained_as``), else "terse".
            similar: Notes looked up per fact.
            max_new_tokens: Longest reply of either operation.
            temperature: 0 is greedy.
            seed: Of the sampling. The n-th batch since ``reseed`` is sampled with a seed of its own.
            name: Written to records.

        Raises:
            ValueError: Unknown style, the backbone has no such adapter, or it was trained otherwise.
        """
        if style is not None and style not in STYLES:
            raise ValueError(f"prompt style {style!r}: expected one of {', '.join(STYLES)}")
        super().__init__(name, similar=similar)
        self.backbone = backbone
        self.adapters = {"extract": extract, "update": update}
        self.styles = {name: _style(backbone, name, adapter, style) for name, adapter in self.adapters.items()}
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.reseed(seed)

    @property
    def record(self) -> Record:
        """What an adapter is that is trained to extract as this agent does."""
        return {"role": "extract", "style": self.styles["extract"]}

    def reseed(self, seed: int) -> None:
        """Start the sequence of sampling seeds anew."""
        self._seed = seed
        self._calls = 0

    def extract(self, requests: Sequence[ExtractRequest]) -> list[Reply]:
        """One batched generation with the extraction adapter."""
        system = extract_prompt.SYSTEM[self.styles["extract"]]
        users = [extract_prompt.user_text(request.chunk, request.timestamp) for request in requests]
        return self._write("extract", system, users)

    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """One batched generation with the update adapter."""
        system = update_prompt.SYSTEM[self.styles["update"]]
        users = [update_prompt.user_text(request.fact, request.notes, request.timestamp) for request in requests]
        return self._write("update", system, users)

    def _write(self, operation: str, system: str, users: Sequence[str]) -> list[Reply]:
        self._calls += 1
        generations = generate_with(
            self.backbone,
            self.adapters[operation],
            [chat_ids(self.backbone.tokenizer, system, user) for user in users],
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            seed=call_seed(self._seed, self._calls),
        )
        return [
            Reply(generation.text, generation.prompt_ids, generation.completion_ids, generation.truncated)
            for generation in generations
        ]


def _style(backbone: Backbone, operation: str, adapter: str | None, style: str | None) -> str:
    """The prompt style of an operation, after checking that its adapter is there and was trained for it."""
    if adapter is not None and adapter not in backbone.adapters:
        held = ", ".join(backbone.adapters) or "none"
        raise ValueError(f"backbone {backbone.name!r} has no adapter {adapter!r} (it has: {held})")
    record = backbone.trained_as.get(adapter or "")
    return options_of(record, operation, {"style": style}, {"style": "terse"})["style"]


def load_adapters(backbone: Backbone, folder: str | Path) -> tuple[str, ...]:
    """Load the adapters of a MemLoRA folder, one sub-folder per operation, under their ``adapter_name``s.

    Args:
        backbone: Changed in place.
        folder: As ``train.select_adapters`` writes it: ``extract``, ``update`` and, if it has been trained, ``answer``.

    Returns:
        The operations that have an adapter.

    Raises:
        ValueError: ``extract`` or ``update`` is missing, or an adapter of that name is there already.
    """
    found = tuple(name for name in OPERATIONS if (Path(folder) / name / "adapter_config.json").is_file())
    if not {"extract", "update"} <= set(found):
        raise ValueError(
            f"no MemLoRA adapters in {folder}: expected sub-folders extract, update and, optionally, answer"
        )
    for name in found:
        load_adapter(backbone, Path(folder) / name, adapter_name(name))
    return found
