"""The Memory Manager: a language model that edits the memory after each chunk."""

from __future__ import annotations

from collections.abc import Sequence

from agents.backbone import Backbone, active_adapter
from agents.base import Agent
from agents.generation import generate
from agents.prompts.manager import render_manager_prompt
from agents.quoting import read_quotes, write_quotes
from memgym.envs.spaces import Observation
from memgym.memory.codecs import get_codec
from memgym.memory.operations import Operation
from memgym.rollout import Decision


class MemoryManager(Agent):
    """Reads one chunk and the memory from a fresh context, writes operations in one generation."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        adapter: str | None = None,
        codec: str = "lines",
        style: str = "terse",
        max_new_tokens: int = 96,
        temperature: float = 0.0,
        seed: int = 0,
        name: str = "manager",
    ) -> None:
        """Create the agent.

        Args:
            backbone: Model and tokenizer, shared with any other agent.
            adapter: The LoRA adapter to act with; None acts with the bare backbone.
            codec: How operations are written; a name in ``memgym.memory.CODECS``.
            style: Prompt style: "full", "terse", or "quote", which keeps lines of the chunk by their first words.
            max_new_tokens: Longest reply.
            temperature: 0 is greedy.
            seed: Of the sampling. The n-th call of ``act`` since ``reseed`` samples with a seed of its own.
            name: Written to records.
        """
        self.backbone = backbone
        self.adapter = adapter
        self.codec = get_codec(codec)
        self.style = style
        self.max_new_tokens = max_new_tokens
        self.temperature = temperature
        self.name = name
        self.reseed(seed)

    def reseed(self, seed: int) -> None:
        """Start the sequence of sampling seeds anew."""
        self._seed = seed
        self._calls = 0

    def prompt_ids(self, observation: Observation) -> list[int]:
        """The tokens the model reads for an observation."""
        return render_manager_prompt(self.backbone.tokenizer, observation, self.codec, self.style)

    def read(self, reply: str, observation: Observation) -> list[Operation]:
        """The operations of a reply to ``observation``."""
        return read_quotes(reply, observation["chunk"]) if self.style == "quote" else self.codec.parse(reply)

    def write(self, operations: Sequence[Operation], observation: Observation) -> str:
        """The reply to ``observation`` that asks for ``operations``."""
        if self.style == "quote":
            return write_quotes(operations, observation["chunk"])
        return self.codec.render(operations)

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """One batched generation for all observations."""
        prompts = [self.prompt_ids(observation) for observation in observations]
        with active_adapter(self.backbone, self.adapter):
            generations = generate(
                self.backbone.model,
                self.backbone.tokenizer,
                prompts,
                max_new_tokens=self.max_new_tokens,
                temperature=self.temperature,
                seed=self._next_seed(),
            )
        return [
            Decision(
                operations=tuple(self.read(generation.text, observation)),
                text=generation.text,
                prompt_ids=generation.prompt_ids,
                completion_ids=generation.completion_ids,
                truncated=generation.truncated,
            )
            for generation, observation in zip(generations, observations, strict=True)
        ]

    def _next_seed(self) -> int:
        self._calls += 1
        return (self._seed * 1_000_003 + self._calls) % (1 << 63)
