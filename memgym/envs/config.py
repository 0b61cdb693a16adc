"""The settings of a memory environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from os import PathLike
from typing import Any, Literal

from memgym.exam.exam import Exam, ExamContext
from memgym.exam.extractive import ExtractiveReader
from memgym.exam.reader import Reader
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import Budget, TokenCounter, count_lexical_tokens
from memgym.memory.database import IN_MEMORY
from memgym.memory.encoder import Encoder, Retrieval, choose_retrieval, load_encoder
from memgym.rewards import Recipe, get_recipe

READERS: dict[str, Callable[[], Reader]] = {
    "extractive": ExtractiveReader,
    # For exams that only ask what the stream holds, with golds in its own words, as LoCoMo's categories 1 to 4 do.
    "extractive_open": partial(ExtractiveReader, min_coverage=0.0, loose_dates=True),
}

Shown = Literal["recent", "relevant"]


@dataclass(frozen=True, slots=True)
class EnvConfig:
    """Everything about a memory environment but its task; the keyword arguments of ``gymnasium.make``.

    Raises:
        ValueError: A setting has a value that cannot be meant; the message says which and what is expected.
        TypeError: There is no such setting.
    """

    budget: int | Budget | Mapping[str, int | None] | None = None
    """Hard token budget: an int limits the three stores together, a ``Budget`` or a mapping of its fields also each of
    them; None leaves only the core's default limit."""
    reward: str | Recipe = "memgym"
    """Recipe name (``memgym.rewards.RECIPES``) or a recipe."""
    reader: str | Reader = "extractive"
    """Reader name or object; it answers the exam."""
    retrieve: int = 20
    """Entries retrieved per store and question."""
    per_speaker: bool = False
    """Share ``retrieve`` equally among the speakers instead: so many entries of both stores together, half of each side
    of a dialogue, as in Memory-R1."""
    retrieval: Retrieval | None = None
    """How the memory is searched: "bm25", "dense" or "hybrid" (both fused); the last two need an encoder. None means
    "hybrid" with an encoder and "bm25" without."""
    neighbours: int = 0
    """Entries on either side in which BM25 counts a word of an entry as well, for memories that hold single turns."""
    calendar_dates: bool = False
    """Store the calendar date behind every relative one: "yesterday (7 May 2023)"."""
    encoder: str | Encoder | None = None
    """Text encoder of dense retrieval: MODULE:CLASS, such as "agents.encoder:TextEncoder"; MODULE:CLASS@NAME, such as
    "agents.encoder:TextEncoder@thenlper/gte-small", with the name of a model (there "minilm", a hub id or a folder); or
    an object."""
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
        self._check_parts()
        if self.show not in ("recent", "relevant"):
            raise ValueError(f"show={self.show!r}: expected 'recent' or 'relevant'")
        for name in ("question_visible", "per_speaker"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name}={getattr(self, name)!r}: expected True or False")
        least_values = {
            "neighbours": 0,
            "shown": 0,
            "retrieve": 1,
            "context_tokens": 1,
            "max_operations": 1,
            "max_steps_per_chunk": 1,
        }
        for name, least in least_values.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"{name}={value!r}: expected a whole number of at least {least}")
        # What no bank or exam can be made with is refused here, not at the first reset.
        self.make_bank().close()
        self.make_exam()

    def _check_parts(self) -> None:
        reader = self.reader
        if isinstance(reader, type) or not isinstance(reader, str | Reader):
            raise ValueError(f"reader={reader!r}: expected a name or an object with name, window and answer(tasks)")
        if isinstance(reader, str) and reader not in READERS:
            raise ValueError(
                f"reader {reader!r} is unknown; choose one of {', '.join(READERS)} or pass an object with "
                "answer(tasks), such as agents.answerer.AnswerAgent"
            )
        if not isinstance(self.reward, str | Recipe):
            raise ValueError(f"reward={self.reward!r}: expected the name of a recipe, or a Recipe")
        if not callable(self.count_tokens):
            raise ValueError(f"count_tokens={self.count_tokens!r}: expected a function from a text to its length")
        if not isinstance(self.encoder, str | Encoder | None):
            raise ValueError(
                f"encoder={self.encoder!r}: expected MODULE:CLASS or MODULE:CLASS@NAME, or an object with name, "
                "dimension and encode(texts)"
            )

    def make_budget(self) -> Budget:
        """The budget in its long form; an int also caps the core, which could not hold more anyway."""
        if isinstance(self.budget, Budget):
            return self.budget
        if not isinstance(self.budget, Mapping):
            return Budget(total=self.budget)
        known = [limit.name for limit in fields(Budget)]
        if unknown := [name for name in self.budget if name not in known]:
            raise ValueError(f"budget has no limit {unknown[0]!r}: expected some of {', '.join(known)}")
        return Budget(**self.budget)

    def make_bank(self, path: str | PathLike[str] = IN_MEMORY) -> MemoryBank:
        """A memory with these settings: an empty one, or what the file at ``path`` holds."""
        return MemoryBank(
            path,
            budget=self.make_budget(),
            count_tokens=self.count_tokens,
            encoder=load_encoder(self.encoder),
            retrieval=self.retrieval,
            neighbours=self.neighbours,
            calendar_dates=self.calendar_dates,
        )

    def make_exam(self) -> Exam:
        """The exam these settings describe."""
        reader = READERS[self.reader]() if isinstance(self.reader, str) else self.reader
        return Exam(reader, self.retrieve, self.context_tokens, self.exam_context, self.per_speaker)

    def in_effect(self) -> dict[str, Any]:
        """Every setting as it takes effect, for records; defaults are filled in, objects stay what they are."""
        encoder, reader = load_encoder(self.encoder), self.make_exam().reader
        settings = {one.name: getattr(self, one.name) for one in fields(self)}
        return settings | {
            "budget": asdict(self.make_budget()),
            "reward": get_recipe(self.reward),
            "reader": reader,
            "reader_window": reader.window,  # lexical tokens
            "retrieval": choose_retrieval(encoder, self.retrieval),
            "encoder": encoder,
        }
