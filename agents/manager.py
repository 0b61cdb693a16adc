"""The Memory Manager: a language model that edits the memory after each chunk."""

from __future__ import annotations

from collections.abc import Sequence

from agents.backbone import Backbone
from agents.base import Agent
from agents.generation import call_seed, generate_with
from agents.prompts.manager import check_format, render_manager_prompt
from agents.quoting import read_quotes, write_quotes
from agents.trained_as import Record, options_of
from memgym.envs.spaces import Observation
from memgym.memory.codecs import get_codec
from memgym.memory.operations import Operation
from memgym.rollout import Decision

DEFAULTS = {"codec": "lines", "style": "terse", "search": False, "max_new_tokens": 96}


class MemoryManager(Agent):
    """Reads one chunk and the memory from a fresh context, writes operations in one generation."""

    def __init__(
        self,
        backbone: Backbone,
        *,
        adapter: str | None = None,
        codec: str | None = None,
        style: str | None = None,
        search: bool | None = None,
        max_new_tokens: int | None = None,
        sentences: bool = False,
        temperature: float = 0.0,
        seed: int = 0,
        name: str = "manager",
    ) -> None:
        """Create the agent.

        Options that are None are as the adapter was trained (``agents.trained_as``), else as in ``DEFAULTS``.

        Args:
            backbone: Model and tokenizer, shared with any other agent.
            adapter: The LoRA adapter to act with; None acts with the bare backbone.
            codec: How operations are written; a name in ``memgym.memory.CODECS``.
            style: Prompt style: "full", "terse", or "quote", which keeps lines of the chunk by their first words.
            search: Whether it is offered to search the memory. A search stays on its chunk, whose next prompt holds
                what was found.
            max_new_tokens: Longest reply.
            sentences: Keep the sentences of a quoted line as entries of their own (``memgym.sentences``).
            temperature: 0 is greedy.
            seed: Of the sampling. The n-th call of ``act`` since ``reseed`` samples with a seed of its own.
            name: Written to records.

        Raises:
            ValueError: There is no such codec or style, they do not go together, or the adapter was trained otherwise.
        """
        asked = {"codec": codec, "style": style, "search": search, "max_new_tokens": max_new_tokens}
        options = options_of(backbone.trained_as.get(adapter or ""), "manager", asked, DEFAULTS)
        check_format(options["codec"], options["style"], search=options["search"])
        if sentences and options["style"] != "quote":
            raise ValueError(f"style {options['style']!r} writes its entries itself: sentences goes with style 'quote'")
        self.backbone = backbone
        self.adapter = adapter
        self.codec = get_codec(options["codec"])
        self.style: str = options["style"]
        self.search: bool = options["search"]
        self.max_new_tokens: int = options["max_new_tokens"]
        self.sentences = sentences
        self.temperature = temperature
        self.name = name
        self.reseed(seed)

    @property
    def record(self) -> Record:
        """What an adapter is that is trained to act as this agent."""
        options = {"codec": self.codec.name, "style": self.style, "search": self.search}
        return {"role": "manager", **options, "max_new_tokens": self.max_new_tokens}

    def reseed(self, seed: int) -> None:
        """Start the sequence of sampling seeds anew."""
        self._seed = seed
        self._calls = 0

    def prompt_ids(self, observation: Observation) -> list[int]:
        """The tokens the model reads for an observation."""
        tokenizer = self.backbone.tokenizer
        return render_manager_prompt(tokenizer, observation, self.codec, self.style, search=self.search)

    def read(self, reply: str, observation: Observation) -> list[Operation]:
        """The operations of a reply to ``observation``."""
        if self.style == "quote":
            return read_quotes(reply, observation["chunk"], sentences=self.sentences)
        return self.codec.parse(reply)

    def write(self, operations: Sequence[Operation], observation: Observation) -> str:
        """The reply to ``observation`` that asks for ``operations``."""
        if self.style == "quote":
            return write_quotes(operations, observation["chunk"])
        return self.codec.render(operations)

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """One batched generation for all observations."""
        self._calls += 1
        generations = generate_with(
            self.backbone,
            self.adapter,
            [self.prompt_ids(observation) for observation in observations],
            max_new_tokens=self.max_new_tokens,
            temperature=self.temperature,
            seed=call_seed(self._seed, self._calls),
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
