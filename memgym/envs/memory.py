"""The memory environment: an episode of chunks in, memory operations out, an exam at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, Literal

import gymnasium
import numpy as np

from memgym.envs.spaces import Observation, action_space, observation_space, operations_from_action
from memgym.exam.exam import Exam, ExamContext, ExamResult, Paper
from memgym.exam.extractive import ExtractiveReader
from memgym.exam.reader import Reader
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import Budget, TokenCounter, count_lexical_tokens
from memgym.memory.operations import ENTRY_STORES, STORES, Entry, Operation, OperationResult
from memgym.memory.provenance import attribute_sources
from memgym.rewards import EpisodeOutcome, Recipe, StepOutcome, get_recipe
from memgym.tasks.episode import Chunk, Episode
from memgym.tasks.task import Task

READERS: dict[str, Callable[[], Reader]] = {
    "extractive": ExtractiveReader,
    # For exams that only ask what the stream holds, with golds in its own words, as LoCoMo's categories 1 to 4 do.
    "extractive_open": partial(ExtractiveReader, min_coverage=0.0, loose_dates=True),
}

Shown = Literal["recent", "relevant"]
Action = Sequence[Operation | Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """Everything about a memory environment but its task; the keyword arguments of ``gymnasium.make``."""

    budget: int | Budget | Mapping[str, int | None] | None = None
    """Hard token budget: an int limits the three stores together, a ``Budget`` or a mapping of its fields also each of
    them; None leaves only the core's default limit."""
    reward: str | Recipe = "memgym"
    """Recipe name (``memgym.rewards.RECIPES``) or a recipe."""
    reader: str | Reader = "extractive"
    """Reader name or object; it answers the exam."""
    retrieve: int = 20
    """Entries retrieved per store and question."""
    context_tokens: int = 2000
    """Limit of what the reader is given per question, in lexical tokens."""
    exam_context: ExamContext = "memory"
    """"stream" lets the reader see the chunks instead of the memory: the full-context reference."""
    shown: int = 5
    """Entries per store that an observation shows."""
    show: Shown = "recent"
    """Which ones: the most recent (as Mem-alpha does), or those most relevant to the chunk."""
    max_operations: int = 32
    """Operations carried out per step; the ones beyond fail with code "limit"."""
    max_steps_per_chunk: int = 3
    """Steps an agent may stay on one chunk by searching."""
    question_visible: bool = False
    """Show the questions while reading. A different protocol: never compare scores across it."""
    count_tokens: TokenCounter = field(default=count_lexical_tokens)
    """Unit of the budgets."""

    def __post_init__(self) -> None:
        if isinstance(self.reader, str) and self.reader not in READERS:
            raise ValueError(
                f"reader {self.reader!r} is unknown; choose one of {', '.join(READERS)} or pass an object with "
                "answer(tasks), such as agents.answerer.AnswerAgent"
            )
        if self.show not in ("recent", "relevant"):
            raise ValueError(f"show={self.show!r}: expected 'recent' or 'relevant'")
        least_values = {"shown": 0, "retrieve": 1, "context_tokens": 1, "max_operations": 1, "max_steps_per_chunk": 1}
        for name, least in least_values.items():
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r}: expected a whole number of at least {least}")
        self.make_budget()

    def make_budget(self) -> Budget:
        """The budget in its long form; an int also caps the core, which could not hold more anyway."""
        if isinstance(self.budget, Budget):
            return self.budget
        if isinstance(self.budget, Mapping):
            return Budget(**self.budget)
        return Budget(total=self.budget)

    def make_exam(self) -> Exam:
        """The exam these settings describe."""
        reader = READERS[self.reader]() if isinstance(self.reader, str) else self.reader
        return Exam(reader, self.retrieve, self.context_tokens, self.exam_context)


@dataclass
class StepReport:
    """What one step did, before any exam."""

    outcome: StepOutcome
    terms: dict[str, float]
    finished: bool  # the stream is over: the exam is due


class MemoryEnv(gymnasium.Env[Observation, Action]):
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
    An empty memory and the first chunk. The episode is drawn from the task by the environment's seed, or named with
    `reset(options={"episode": index})`.

    ## Reward
    The weighted sum of the recipe's step terms at every step, plus its episode terms at the last one
    (`memgym.rewards`). With the default recipe: the mean score of the exam, less small costs of failed calls.

    ## Episode End
    Terminates after the last chunk. Never truncates. A step whose operations contain a search stays on its chunk, at
    most `max_steps_per_chunk` steps, and the next observation carries the results.

    ## Information
    `episode_id`; `operations` (what each did, its entry id, and `code` and `reason` of a failure); `reward_terms` by
    name, unweighted; `tokens` used per store and in total; at the end `exam` with the score and every graded answer.

    ## Arguments
    `task` and the fields of `EnvConfig` as keywords.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012 - declared by gymnasium.Env

    def __init__(self, task: Task, *, render_mode: str | None = None, **config: Any) -> None:
        """Create the environment.

        Args:
            task: Where episodes come from.
            render_mode: None or "ansi".
            config: Fields of `EnvConfig`.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r}: expected None or 'ansi'")
        self.task = task
        self.render_mode = render_mode
        self.config = EnvConfig(**config)
        self.exam = self.config.make_exam()
        self.recipe = get_recipe(self.config.reward)
        self.observation_space = observation_space(question_visible=self.config.question_visible)
        self.action_space = action_space()
        self.episode: Episode | None = None
        self.bank: MemoryBank | None = None

    # --- Gymnasium ---------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode: `options={"episode": index}` names it, otherwise the seed draws it."""
        super().reset(seed=seed)
        options = options or {}
        if unknown := sorted(set(options) - {"episode"}):
            raise ValueError(f"reset option {unknown[0]!r} is unknown: expected 'episode'")
        index = options.get("episode")
        self.begin(self.task.sample(self.np_random) if index is None else self.task.episode(index))
        return self.observation(), self._info((), {})

    def step(self, action: Action) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Carry out the operations; after the last chunk, hold the exam."""
        report = self.advance(action)
        exam = self.exam.grade([self.paper()])[0] if report.finished else None
        reward, info = self.conclude(report, exam)
        return self.observation(), reward, report.finished, False, info

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
        """Start ``episode`` with an empty memory."""
        if not episode.chunks:
            raise ValueError(f"episode {episode.id!r} has no chunks; an episode needs at least one")
        self.close()
        self.bank = MemoryBank(budget=self.config.make_budget(), count_tokens=self.config.count_tokens)
        self.episode = episode
        self._chunk_count = len(episode.chunks)
        self._index = 0  # of the chunk being read
        self._steps = 0  # taken in this episode
        self._steps_on_chunk = 0
        self._messages: tuple[str, ...] = ()

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
        searched = any(result.ok and result.operation.kind == "search" for result in results)
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
        terms = dict(report.terms)
        if exam is not None:
            terms |= self.recipe.score_episode(EpisodeOutcome(self._running_episode(), report.outcome.bank, exam))
        info = self._info(report.outcome.results, terms)
        if exam is not None:
            info["exam"] = {"score": exam.score, "answers": [answer.to_dict() for answer in exam.answers]}
        return self.recipe.total(terms), info

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

    # --- Internals ---------------------------------------------------------------------------------------------------

    def _running_bank(self) -> MemoryBank:
        if self.bank is None:
            raise gymnasium.error.ResetNeeded("call reset() first: no episode is running")
        return self.bank

    def _running_episode(self) -> Episode:
        if self.episode is None:
            raise gymnasium.error.ResetNeeded("call reset() first: no episode is running")
        return self.episode

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
        lines = [(line, turn.id) for turn in chunk.turns for line in turn.line.split("\n")]
        if not 1 <= operation.quote <= len(lines):
            reason = f"the chunk has no line {operation.quote}, only 1 to {len(lines)}"
            return OperationResult(operation, "failed", reason, "unknown_line")
        line, turn_id = lines[operation.quote - 1]
        return self._running_bank().apply(replace(operation, text=line), sources=(turn_id,), timestamp=chunk.timestamp)

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
