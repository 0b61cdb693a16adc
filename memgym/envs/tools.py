"""A memory environment whose operations are tools that a chat model calls: TRL's ``environment_factory``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import gymnasium

from memgym.envs.memory import MemoryEnv
from memgym.exam.exam import ExamResult, Paper
from memgym.memory.bank import MemoryBank
from memgym.memory.codecs.fields import UnreadableError, read_id, read_store, read_text
from memgym.memory.operations import Operation, OperationKind, OperationResult
from memgym.memory.provenance import attribute_sources
from memgym.rewards import EpisodeOutcome, StepOutcome
from memgym.tasks.episode import Chunk, Episode

_OVER = "The last part has been read and the memory is closed: no more tools are needed."


def tool_env_factory(env_id: str, **kwargs: Any) -> Callable[[], MemoryToolEnv]:
    """What ``trl.GRPOTrainer(environment_factory=...)`` takes: makes one environment per running rollout.

    ```python
    rows = [{"prompt": [{"role": "user", "content": "Keep in memory what may be asked later."}], "episode": i}
            for i in range(256)]
    GRPOTrainer(
        model, args=args, train_dataset=Dataset.from_list(rows),
        environment_factory=tool_env_factory("memgym/Dialogue-v0", budget=120),
    )
    ```

    Args:
        env_id: A registered memory environment.
        kwargs: Its arguments, as for ``gymnasium.make``. The task is loaded once and shared.

    Raises:
        TypeError: The environment is no memory environment.
    """
    env = gymnasium.make(env_id, **kwargs).unwrapped
    if not isinstance(env, MemoryEnv):
        raise TypeError(f"environment {env_id!r} is a {type(env).__name__}: expected a memory environment (MemoryEnv)")
    return partial(MemoryToolEnv, env)


class MemoryToolEnv:
    """One episode told through tool calls: chunks arrive as tool results, every memory operation is a tool.

    TRL (1.16) offers every public method of this class to the model as a tool, except ``reset`` and ``get_reward``,
    and shows it their docstrings. So this is no ``gymnasium.Env`` and there is no public ``step`` or ``close``.

    Differences from `MemoryEnv`: the context grows with all chunks, which is not the setting of Mem-alpha; an
    operation is carried out and answered at once; searching does not end a step; `shown`, `show` and
    `max_steps_per_chunk` have no effect. All calls on one chunk make up its step, of which `max_operations` are
    carried out. Equal operations on equal chunks give the return that `MemoryEnv` gives.

    TRL's limits to know:

    * ``max_completion_length`` covers the model's tokens and all tool results. When a result would pass it, TRL takes
      the tool message back and ends the rollout, but what the tool did stays done: the memory holds the entry, or the
      chunk counts as read, while the transcript shows a call without a result. Choose chunks and budget so that a
      whole episode fits, and watch `lost_results`.
    * A call of an unknown tool, or with missing or unknown arguments, never gets here: TRL answers it with
      ``{'error': ...}`` and counts it in ``tools/failure_frequency``. Values that make no sense do get here, and
      become failed operations with a reason.
    * There is no signal that the episode is over; the rollout ends when the model stops calling tools.

    Attributes:
        bank: The memory, None before the first ``reset``.
        chunks_read: Chunks handed out so far.
        results: Texts of all tool results of the episode, in order.
        terms: Unweighted reward terms by name, step terms averaged over the chunks of the stream; complete after
            ``get_reward``.
        exam: The graded answers, None before ``get_reward``.
    """

    def __init__(self, env: MemoryEnv) -> None:
        """Create the environment.

        Args:
            env: Its task, settings, exam and reward recipe are used, its own episode is not.
        """
        self._env = env
        self._episode: Episode | None = None
        self.bank: MemoryBank | None = None
        self.chunks_read = 0
        self.results: list[str] = []
        self.terms: dict[str, float] = {}
        self.exam: ExamResult | None = None
        self._reward: float | None = None
        self._over = True  # no chunk is being read

    # --- What the trainer calls --------------------------------------------------------------------------------------

    def reset(self, *, episode: int | None = None, **row: Any) -> str:
        """Start an episode with an empty memory.

        Args:
            episode: Index in the task. Rollouts of one group share a row, hence the episode.
            row: The other columns of the dataset's row, ``prompt`` among them; not used.

        Returns:
            The first chunk after a blank line: TRL appends it to the prompt's last message without a separator.

        Raises:
            ValueError: The row names no episode.
            IndexError: The task has no such episode.
        """
        if not isinstance(episode, int):
            raise ValueError(
                f"column 'episode' of the dataset's row is {episode!r}: expected the index (int) of an episode of the "
                "task, the same for all rollouts of a group"
            )
        if self.bank is not None:
            self.bank.close()
        config = self._env.config
        self._episode = self._env.task.episode(episode)
        self.bank = self._env.open_bank(self._episode)
        self.chunks_read, self.results, self.terms, self.exam, self._reward = 0, [], {}, None, None
        questions = "".join(f"{question.text}\n" for question in self._episode.questions)
        asked = f"\n\nQuestions to be answered:\n{questions}" if config.question_visible else "\n\n"
        return asked + self._read_chunk()

    def get_reward(self) -> float:
        """Hold the exam and return the recipe's total: mean step terms plus episode terms, weighted.

        A model that stopped early leaves the rest of the stream unread. That is its choice, so the exam asks about
        all of the stream, of the memory as it is; unread chunks earn and cost no step terms.
        """
        if self._reward is None:
            episode, bank = self._running()
            if not self._over:
                self._end_chunk()
                self._over = True
            self.exam = self._env.exam.grade([Paper(bank, episode.questions, episode.chunks)])[0]
            self.terms |= self._env.recipe.score_episode(EpisodeOutcome(episode, bank, self.exam))
            self._reward = self._env.recipe.total(self.terms)
        return self._reward

    # --- Tools: the model reads these docstrings ---------------------------------------------------------------------

    def next_chunk(self) -> str:
        """Read the next part of the dialogue, once the memory holds what matters of this one."""
        episode, _ = self._running()
        if not self._over:
            self._end_chunk()
            self._over = self.chunks_read == len(episode.chunks)
        return self._give(_OVER if self._over else self._read_chunk())

    def insert_memory(self, store: Literal["episodic", "semantic"], content: str, timestamp: str = "") -> str:
        """Add an entry to the memory.

        Args:
            store: episodic for events, semantic for facts.
            content: The text to keep.
            timestamp: When it happened, such as 2024-03-02; by default the date of this part.
        """
        return self._call("insert", store=store, content=content, timestamp=timestamp)

    def update_memory(
        self, store: Literal["core", "episodic", "semantic"], content: str, entry_id: int | None = None
    ) -> str:
        """Rewrite an entry, or the core summary.

        Args:
            store: Where the entry is; core has one text and no entries.
            content: The new text.
            entry_id: Number of the entry; not for core.
        """
        return self._call("update", store=store, content=content, entry_id=entry_id)

    def delete_memory(self, store: Literal["core", "episodic", "semantic"], entry_id: int | None = None) -> str:
        """Remove an entry, or clear the core summary.

        Args:
            store: Where the entry is.
            entry_id: Number of the entry; not for core.
        """
        return self._call("delete", store=store, entry_id=entry_id)

    def search_memory(self, query: str, store: Literal["episodic", "semantic"] | None = None) -> str:
        """Find entries of the memory.

        Args:
            query: Words to look for.
            store: Where to look; by default everywhere.
        """
        return self._call("search", store=store, query=query)

    # --- Internals ---------------------------------------------------------------------------------------------------

    def _running(self) -> tuple[Episode, MemoryBank]:
        if self._episode is None or self.bank is None:
            raise gymnasium.error.ResetNeeded("call reset(episode=...) first: no episode is running")
        return self._episode, self.bank

    def _read_chunk(self) -> str:
        """Move on to the next chunk, and what the model reads of it."""
        episode, bank = self._running()
        self._chunk: Chunk = episode.chunks[self.chunks_read]
        self._calls: list[OperationResult] = []
        self._core_before = bank.core
        self._over = False
        bank.step = self.chunks_read
        self.chunks_read += 1
        dated = f", {self._chunk.timestamp}" if self._chunk.timestamp else ""
        header = f"Part {self.chunks_read} of {len(episode.chunks)}{dated}"
        return "\n".join(filter(None, (f"{header}:", self._chunk.text, _room(bank))))

    def _end_chunk(self) -> None:
        """Score the step that the calls on the current chunk make up."""
        episode, bank = self._running()
        outcome = StepOutcome(self._chunk, tuple(self._calls), self._core_before, bank)
        for name, value in self._env.recipe.score_step(outcome).items():
            self.terms[name] = self.terms.get(name, 0.0) + value / len(episode.chunks)

    def _call(self, kind: OperationKind, **arguments: Any) -> str:
        _, bank = self._running()
        if self._over:
            return self._give(_OVER)
        result = self._carry_out(_operation(kind, arguments), bank)
        self._calls.append(result)
        return self._give(_answer(result, bank))

    def _carry_out(self, operation: Operation, bank: MemoryBank) -> OperationResult:
        limit = self._env.config.max_operations
        if len(self._calls) >= limit:
            reason = f"only {limit} operations are carried out per part: go on to the next one"
            return OperationResult(operation, "failed", reason, "limit")
        sources = attribute_sources(operation.text, self._chunk.turns) if operation.text else ()
        return bank.apply(operation, sources=sources, timestamp=self._chunk.timestamp)

    def _give(self, result: str) -> str:
        self.results.append(result)
        return result


def lost_results(environment: MemoryToolEnv, completion: Sequence[Mapping[str, Any]]) -> int:
    """Tool results that TRL took back from a transcript because they passed ``max_completion_length``.

    For a reward function, which TRL hands ``environments`` and ``completions``; log it, and act when it is not 0.

    Args:
        environment: The environment of the rollout.
        completion: The rollout's messages.
    """
    kept = Counter(message["content"] for message in completion if message["role"] == "tool")
    return (Counter(environment.results) - kept).total()


def _operation(kind: OperationKind, arguments: dict[str, Any]) -> Operation:
    """The operation a call asks for, read as leniently as a codec reads text."""
    try:
        return Operation(
            kind,
            read_store(arguments, "store"),
            read_text(arguments, "content", "query"),
            read_id(arguments, "entry_id"),
            read_text(arguments, "timestamp"),
        )
    except UnreadableError as error:
        return Operation("invalid", text=f"{kind}_memory: {error}")


def _answer(result: OperationResult, bank: MemoryBank) -> str:
    """What the model reads about its call."""
    if not result.ok:
        return f"Failed: {result.reason}."
    match result.operation.kind:
        case "search":
            lines = (f"{entry.id} {entry.store} {entry.timestamp} {entry.text}" for entry in result.found)
            return "\n".join(lines) or "Nothing found."
        case "delete":
            done = "Removed."
        case _:
            done = f"Stored as entry {result.after.id}." if result.after and result.after.id else "Stored as core."
    return f"{done} {_room(bank)}".strip()


def _room(bank: MemoryBank) -> str:
    """E.g. "Tokens left: core 512, total 90"; "" without limits."""
    left = ", ".join(f"{name} {tokens}" for name, tokens in bank.budget_left().items() if tokens is not None)
    return f"Tokens left: {left}" if left else ""
