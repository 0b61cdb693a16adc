"""The memory environment: an episode of chunks in, memory operations out, an exam at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np

from memgym.envs.config import EnvConfig
from memgym.envs.episodic import EpisodicEnv, check_render_mode
from memgym.envs.spaces import Observation, action_space, observation_space, operations_from_action
from memgym.exam.exam import Exam, ExamResult, Paper
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import ENTRY_STORES, STORES, Entry, Operation, OperationResult
from memgym.memory.provenance import attribute_sources
from memgym.rewards import EpisodeOutcome, Recipe, StepOutcome, get_recipe
from memgym.tasks.episode import Chunk, Episode
from memgym.tasks.prepared import fill_bank
from memgym.tasks.task import Task

if TYPE_CHECKING:
    from memgym.rollout import Decision

Action = Sequence[Operation | Mapping[str, Any]]


@dataclass
class StepReport:
    """What one step did, before any exam."""

    outcome: StepOutcome
    terms: dict[str, float]
    finished: bool  # the stream is over: the exam is due


class MemoryEnv(EpisodicEnv[Action]):
    """Read a stream chunk by chunk, manage a bounded memory, be graded by questions answered from it alone.

    ## Description
    An episode is a long dialogue cut into chunks. At each step the agent sees one chunk, the core memory, a few
    entries and the room that is left, and answers with a list of memory operations. After the last chunk a reader
    that has never seen the stream answers the exam's questions from what it retrieves from the memory.

    ## Action Space
    A `Sequence` of operations, carried out in order; the empty sequence does nothing. Each is a `Dict`:

    | field | space | meaning |
    |---|---|---|
    | kind | Discrete(5) | 0 insert, 1 update, 2 delete, 3 search, 4 noop |
    | store | Discrete(3) | 0 core, 1 episodic, 2 semantic |
    | text | Unicode | content of insert and update, query of search |
    | entry_id | Discrete(2^31) | entry of update and delete; ignored for core |
    | timestamp | Unicode(64) | ISO 8601; "" takes the chunk's |
    | k | Discrete(101) | results of search |
    | quote | Discrete(65) | insert: store this line of the chunk, from 1, instead of text; 0 = none |

    `memgym.Operation` objects are accepted in place of the dicts, and `TextActionWrapper` takes raw model text. An
    operation that cannot be carried out (unknown id, wrong store, over budget, exact duplicate, ...) changes nothing,
    and the next observation says why.

    ## Observation Space
    A `Dict`:

    | field | space | meaning |
    |---|---|---|
    | chunk | Unicode | one "Speaker: text" line per turn; "" when the stream is over |
    | timestamp | Unicode(64) | time of the chunk, ISO 8601, "" when undated |
    | core | Unicode | the core memory in full |
    | entries | Sequence(Dict) | id, store, text, timestamp of the entries shown, by id |
    | results | Sequence(Unicode) | what the last step's searches found and why its operations failed |
    | budget_left | Box (4,) int64 | tokens left: core, episodic, semantic, total; -1 means no limit |
    | progress | Box (2,) int64 | index of the chunk, number of chunks |
    | questions | Sequence(Unicode) | only with `question_visible=True` |

    Questions, answers, categories and evidence are never part of an observation otherwise.

    ## Starting State
    The first chunk and an empty memory, or the one that the episode was prepared with (`Episode.memory`): the newest of
    its entries that the budget takes. The episode is drawn from the task by the environment's seed, or named with
    `reset(options={"episode": index})`.

    ## Reward
    At every step the weighted sum of the recipe's step terms, divided by the number of chunks; at the last one also its
    episode terms (`memgym.rewards`). So an episode's return is the mean of its chunks' step terms plus the episode
    terms, and a cost per chunk does not outweigh the exam on long streams. With the default recipe: the mean score of
    the exam, less small costs of failed calls.

    ## Episode End
    Terminates after the last chunk. Never truncates. A step that carries out a search, successful or not, stays on its
    chunk, at most `max_steps_per_chunk` steps, and the next observation carries what it found or why it failed.
    Searches beyond `max_operations` are not carried out.

    ## Information
    `episode_id`; `operations` (what each did, its entry id, and `code` and `reason` of a failure); `reward_terms` by
    name, unweighted; `tokens` used per store and in total; at the end `exam` with the score and every graded answer.

    ## Arguments
    `task` and the fields of `EnvConfig` as keywords.
    """

    config: EnvConfig
    exam: Exam
    recipe: Recipe
    bank: MemoryBank | None = None

    def __init__(self, task: Task, *, render_mode: str | None = None, **config: Any) -> None:
        """Create the environment.

        Args:
            task: Where episodes come from.
            render_mode: None or "ansi".
            config: Fields of `EnvConfig`.
        """
        self.task = task
        self.render_mode = check_render_mode(render_mode)
        self.config = EnvConfig(**config)
        self.exam = self.config.make_exam()
        self.recipe = get_recipe(self.config.reward)
        self.observation_space = observation_space(question_visible=self.config.question_visible)
        self.action_space = action_space()

    def render(self) -> str | None:
        """The chunk and the memory as text, with ``render_mode="ansi"``."""
        if self.render_mode is None:
            return None
        bank = self._running_bank()
        lines = [f"chunk {min(self._index + 1, self._chunk_count)} of {self._chunk_count}", self._chunk_text()]
        lines += [f"core: {bank.core}", *(f"#{e.id} {e.store} {e.timestamp} {e.text}" for e in bank.entries())]
        return "\n".join(lines)

    def close(self) -> None:
        """Release the bank."""
        if self.bank is not None:
            self.bank.close()
            self.bank = None

    # --- The parts of a step, which a vector environment runs for many episodes at once -------------------------------

    def begin(self, episode: Episode) -> None:
        """Start ``episode`` with the memory that was prepared for it, usually none."""
        if not episode.chunks:
            raise ValueError(f"episode {episode.id!r} has no chunks; an episode needs at least one")
        self.close()
        self.bank = self.open_bank(episode)
        self.episode = episode
        self._chunk_count = len(episode.chunks)
        self._index = 0  # of the chunk being read
        self._steps = 0  # taken in this episode
        self._steps_on_chunk = 0
        self._messages: tuple[str, ...] = ()

    def open_bank(self, episode: Episode) -> MemoryBank:
        """The memory that ``episode`` begins with."""
        bank = self.config.make_bank()
        fill_bank(bank, episode.memory)
        return bank

    def advance(self, action: Action) -> StepReport:
        """Carry out one step's operations and move on to the next chunk, unless a search stays."""
        operations = operations_from_action(action)
        bank, chunk = self._running_bank(), self._chunk()
        bank.step = self._steps
        core_before = bank.core
        results = tuple(self._apply(number, operation, chunk) for number, operation in enumerate(operations))
        self._messages = tuple(message for result in results if (message := _message(result)))
        self._steps += 1
        self._steps_on_chunk += 1
        searched = any(result.operation.kind == "search" and result.code != "limit" for result in results)
        if not searched or self._steps_on_chunk >= self.config.max_steps_per_chunk:
            self._index += 1
            self._steps_on_chunk = 0
        outcome = StepOutcome(chunk, results, core_before, bank)
        return StepReport(outcome, self.recipe.score_step(outcome), self._index >= self._chunk_count)

    def paper(self) -> Paper:
        """What the finished episode hands in for its exam."""
        episode = self._running_episode()
        return Paper(self._running_bank(), episode.questions, episode.chunks)

    def conclude(self, report: StepReport, exam: ExamResult | None) -> tuple[float, dict[str, Any]]:
        """Reward and info of a step, given the exam's result if there was one."""
        reward = self.recipe.total(report.terms) / self._chunk_count
        info = self._info(report.outcome.results, dict(report.terms))
        if exam is not None:
            ending = self.recipe.score_episode(EpisodeOutcome(self._running_episode(), report.outcome.bank, exam))
            reward += self.recipe.total(ending)
            info["reward_terms"] |= ending
            info["exam"] = {"score": exam.score, "answers": [answer.to_dict() for answer in exam.answers]}
        return reward, info

    def observation(self) -> Observation:
        """The current observation; new objects each time."""
        bank = self._running_bank()
        left = bank.budget_left()
        observation: Observation = {
            "chunk": self._chunk_text(),
            "timestamp": self._chunk().timestamp if self._index < self._chunk_count else "",
            "core": bank.core,
            "entries": tuple(_shown_entry(entry) for entry in self._shown_entries()),
            "results": self._messages,
            "budget_left": np.array(
                [-1 if (tokens := left[name]) is None else tokens for name in (*STORES, "total")], dtype=np.int64
            ),
            "progress": np.array([min(self._index, self._chunk_count), self._chunk_count], dtype=np.int64),
        }
        if self.config.question_visible:
            observation["questions"] = tuple(question.text for question in self._running_episode().questions)
        return observation

    def info(self) -> dict[str, Any]:
        """The info of an episode that has just begun; new objects each time."""
        return self._info((), {})

    def action_of(self, decision: Decision) -> Action:
        """A decision's operations."""
        return decision.operations

    # --- Internals ---------------------------------------------------------------------------------------------------

    def _running_bank(self) -> MemoryBank:
        if self.bank is None:
            raise gymnasium.error.ResetNeeded("call reset() first: no episode is running")
        return self.bank

    def _chunk(self) -> Chunk:
        episode = self._running_episode()
        if self._index >= self._chunk_count:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset() before step()")
        return episode.chunks[self._index]

    def _chunk_text(self) -> str:
        return self._chunk().text if self._index < self._chunk_count else ""

    def _apply(self, number: int, operation: Operation, chunk: Chunk) -> OperationResult:
        if number >= self.config.max_operations:
            reason = f"only {self.config.max_operations} operations are carried out per step"
            return OperationResult(operation, "failed", reason, "limit")
        bank = self._running_bank()
        if operation.kind == "insert" and operation.quote:
            return self._apply_quote(operation, chunk)
        sources = attribute_sources(operation.text, chunk.turns) if operation.text else ()
        return bank.apply(operation, sources=sources, timestamp=chunk.timestamp)

    def _apply_quote(self, operation: Operation, chunk: Chunk) -> OperationResult:
        """Store a line of the chunk word for word: its source is known, not guessed."""
        # A turn has more than one line where its text does; an agent counts those it sees.
        lines = [(line, turn) for turn in chunk.turns for line in turn.line.split("\n")]
        if not 1 <= operation.quote <= len(lines):
            reason = f"the chunk has no line {operation.quote}, only 1 to {len(lines)}"
            return OperationResult(operation, "failed", reason, "unknown_line")
        line, turn = lines[operation.quote - 1]
        return self._running_bank().apply(replace(operation, text=line), sources=(turn.id,), timestamp=turn.timestamp)

    def _shown_entries(self) -> list[Entry]:
        bank, shown = self._running_bank(), self.config.shown
        if not shown:
            return []
        if self.config.show == "recent":
            found = [entry for store in ENTRY_STORES for entry in bank.entries(store, newest=shown)]
        else:
            text = self._chunk_text()
            found = [entry for store in ENTRY_STORES for entry in bank.search(text, store=store, k=shown)]
        return sorted(found, key=lambda entry: entry.id)

    def _info(self, results: Sequence[OperationResult], terms: dict[str, float]) -> dict[str, Any]:
        bank = self._running_bank()
        return {
            "episode_id": self._running_episode().id,
            "operations": [describe_result(result) for result in results],
            "reward_terms": terms,
            "tokens": {store: bank.tokens(store) for store in STORES} | {"total": bank.tokens()},
        }


def describe_result(result: OperationResult) -> dict[str, Any]:
    """An operation and what it did, in plain JSON types."""
    entry = result.after or result.before
    return {
        **asdict(result.operation),
        "status": result.status,
        "code": result.code,
        "reason": result.reason,
        "result_id": entry.id if entry else None,
        "found": [found.id for found in result.found],
    }


def _shown_entry(entry: Entry) -> dict[str, Any]:
    return {"id": entry.id, "store": STORES.index(entry.store), "text": entry.text, "timestamp": entry.timestamp}


def _message(result: OperationResult) -> str:
    """What the next observation says about an operation: what a search found, or why something failed."""
    if not result.ok:
        return f"failed {result.operation.kind}: {result.reason}"
    if result.operation.kind != "search":
        return ""
    found = "\n".join(f"#{entry.id} {entry.timestamp} {entry.text}" for entry in result.found)
    return f"search {result.operation.text!r}:\n{found or 'nothing found'}"
