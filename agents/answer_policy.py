"""The Answer Agent as a policy: it is trained in the answer environment and answers exams afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.answerer import AnswerAgent
from agents.backbone import Backbone
from agents.base import Agent
from agents.generation import call_seed, generate_with
from agents.trained_as import Record, options_of
from memgym.envs.spaces import Observation
from memgym.exam.reader import ReadingTask
from memgym.exam.reply import ANSWER_MARK
from memgym.memory.operations import Entry
from memgym.rollout import Decision
from memgym.tasks.shares import in_turn

DEFAULTS = {"distil": True, "max_new_tokens": 96}


class AnswerPolicy(Agent):
    """Reads a question and the memories retrieved for it, writes one reply.

    With distillation it names the useful memories by their first words, then answers after the mark; the wording and
    the small model's limits behind it are those of ``memgym.exam.reply``. Without, it writes the answer alone, and the
    mark is put before it. Prompts are those of ``agents.answerer.AnswerAgent`` with the same ``distil``: an adapter
    that is trained here is a reader's adapter, and the other way round.
    """

    def __init__(
        self,
        backbone: Backbone,
        *,
        adapter: str | None = None,
        distil: bool | None = None,
        max_new_tokens: int | None = None,
        window: int = 4000,
        temperature: float = 0.0,
        seed: int = 0,
        name: str = "answerer",
    ) -> None:
        """Create the agent.

        Options that are None are as the adapter was trained (``agents.trained_as``), else as in ``DEFAULTS``.

        Args:
            backbone: Model and tokenizer, shared with any other agent.
            adapter: The LoRA adapter to act with; None acts with the bare backbone.
            distil: Whether to name the useful memories before the answer.
            max_new_tokens: Longest reply.
            window: Longest context, in lexical tokens; the memories that rank lowest are left out beyond it. 60 turns
                of LoCoMo are about 2,200.
            temperature: 0 is greedy.
            seed: Of the sampling. The n-th call of ``act`` since ``reseed`` samples with a seed of its own.
            name: Written to records.

        Raises:
            ValueError: The window has no room, or the adapter was trained otherwise.
        """
        asked = {"distil": distil, "max_new_tokens": max_new_tokens}
        options = options_of(backbone.trained_as.get(adapter or ""), "answerer", asked, DEFAULTS)
        self.backbone = backbone
        self.adapter = adapter
        self.distil: bool = options["distil"]
        self.max_new_tokens: int = options["max_new_tokens"]
        self.window = window
        self.temperature = temperature
        self.name = name
        self._reader = AnswerAgent(backbone, adapter, **options, window=window)
        self.reseed(seed)

    @property
    def record(self) -> Record:
        """What an adapter is that is trained to act as this agent: a reader's."""
        return self._reader.record

    def reseed(self, seed: int) -> None:
        """Start the sequence of sampling seeds anew."""
        self._seed = seed
        self._calls = 0

    def prompt_ids(self, observation: Observation) -> list[int]:
        """The tokens the model reads for an observation."""
        return self._reader.prompt_ids(reading_task(observation))

    def read(self, completion: str) -> str:
        """The reply, as the environment reads it, that a completion of the prompt amounts to."""
        return completion if self.distil or ANSWER_MARK in completion else f"{ANSWER_MARK} {completion.lstrip()}"

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """One batched generation for all observations; the reply is the decision's text."""
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
                operations=(),
                text=self.read(generation.text),
                prompt_ids=generation.prompt_ids,
                completion_ids=generation.completion_ids,
                truncated=generation.truncated,
            )
            for generation in generations
        ]


def reading_task(observation: Observation) -> ReadingTask:
    """An observation of the answer environment as an exam hands it to a reader: the speakers' best first, in turn."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for memory in observation["memories"]:
        groups.setdefault(memory["speaker"], []).append(memory)
    entries = (
        Entry(memory["id"], "episodic", memory["text"], memory["timestamp"], (), 0, 0)
        for memory in in_turn(groups.values())
    )
    return ReadingTask(observation["question"], observation["core"], tuple(entries), observation["asked"])
