"""Tasks made from another task: each of its dialogues gives several episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from random import Random
from typing import TYPE_CHECKING, Any

from memgym.tasks.episode import Episode
from memgym.tasks.task import INDEX_BOUND, Task

if TYPE_CHECKING:
    import numpy as np

_KEPT = 32  # dialogues whose episodes are kept: all of LoCoMo, and what a batch of an endless task comes back to


class DerivedTask(ABC):
    """The parts of the dialogues of a source task, as episodes of their own.

    Of a finite source all parts are episodes, numbered through in the order of the dialogues. Of an endless source
    episode i is one part of dialogue i, drawn by ``random.Random(f"{name}:{i}")``.

    A subclass implements ``count`` and ``derive``, and sets what they need before it calls this constructor.

    Args:
        name: written to records.
        source: where the dialogues come from.

    Attributes:
        arguments: name and arguments of the source; a subclass adds its own.
        category_names: those of the source.
        sha256: digest of the source's data, None when it has none.

    Raises:
        ValueError: no dialogue of a finite source has a part.
    """

    wanted = "part"  # what a part is, for messages

    def __init__(self, name: str, source: Task) -> None:
        self.name = name
        self.source = source
        self.sha256: str | None = getattr(source, "sha256", None)
        self.arguments: dict[str, Any] = {"source": source.name, **getattr(source, "arguments", {})}
        self.category_names: Mapping[str, str] = getattr(source, "category_names", {})
        self._made: dict[int, tuple[Episode, ...]] = {}
        self._places: list[tuple[int, int]] | None = None  # dialogue and part of each episode; None: endless
        if source.size is not None:
            counts = [self.count(source.episode(index)) for index in range(source.size)]
            self._places = [(index, part) for index, count in enumerate(counts) for part in range(count)]
            if not self._places:
                raise ValueError(f"task {name!r}: {self._nothing(f'the {source.size} dialogues')}")

    @property
    def size(self) -> int | None:
        """Number of episodes; None when the source is endless."""
        return None if self._places is None else len(self._places)

    @abstractmethod
    def count(self, dialogue: Episode) -> int:
        """Number of parts of a dialogue."""

    @abstractmethod
    def derive(self, dialogue: Episode) -> tuple[Episode, ...]:
        """All parts of a dialogue."""

    def episode(self, index: int) -> Episode:
        """Episode ``index``, from 0.

        Raises:
            IndexError: there is none.
            ValueError: dialogue ``index`` of an endless source has no part.
        """
        if index < 0 or (self._places is not None and index >= len(self._places)):
            size = "no end of" if self._places is None else len(self._places)
            raise IndexError(f"episode index {index}: task {self.name!r} has {size} episodes, from 0")
        if self._places is not None:
            dialogue, part = self._places[index]
            return self._parts(dialogue)[part]
        parts = self._parts(index)
        if not parts:
            raise ValueError(f"task {self.name!r}: {self._nothing(f'dialogue {index}')}")
        return parts[Random(f"{self.name}:{index}").randrange(len(parts))]

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode, drawn uniformly with ``rng``."""
        return self.episode(int(rng.integers(INDEX_BOUND if self._places is None else len(self._places))))

    def _parts(self, index: int) -> tuple[Episode, ...]:
        if index not in self._made:
            if len(self._made) == _KEPT:
                del self._made[next(iter(self._made))]
            self._made[index] = self.derive(self.source.episode(index))
        return self._made[index]

    def _nothing(self, where: str) -> str:
        return f"{where} of {self.source.name!r} hold no {self.wanted}"
