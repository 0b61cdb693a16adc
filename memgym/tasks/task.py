"""What a task is: a named source of episodes, finite or endless."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from memgym.tasks.episode import Episode

if TYPE_CHECKING:
    import numpy as np

# Indices of an endless task are drawn below this bound: large enough that two draws rarely meet, and a plain int64.
INDEX_BOUND = 2**31


class Task(Protocol):
    """A source of episodes. The same index is the same episode, always and everywhere.

    A task may have more to say for records and reports: ``arguments`` (what it was made with),
    ``sha256`` (a digest that changes with its data) and ``category_names`` (category of a question -> its name).
    """

    @property
    def name(self) -> str:
        """Name written to records."""
        ...

    @property
    def size(self) -> int | None:
        """Number of episodes; None when the task is endless."""
        ...

    def episode(self, index: int) -> Episode:
        """The episode at ``index`` (from 0)."""
        ...

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode, drawn uniformly with ``rng``."""
        ...


class EpisodeList:
    """A finite task: episodes in a fixed order.

    Args:
        name: written to records.
        episodes: at least one; their ids must differ.

    Raises:
        ValueError: no episodes, or an id that occurs twice.
    """

    def __init__(self, name: str, episodes: Sequence[Episode]) -> None:
        if not episodes:
            raise ValueError(f"task {name!r} has no episodes: expected at least one")
        seen: set[str] = set()
        for episode in episodes:
            if episode.id in seen:
                raise ValueError(f"task {name!r} holds episode id {episode.id!r} twice: ids must differ")
            seen.add(episode.id)
        self.name = name
        self.episodes = tuple(episodes)

    @property
    def size(self) -> int:
        """Number of episodes."""
        return len(self.episodes)

    def __len__(self) -> int:
        return len(self.episodes)

    def __iter__(self) -> Iterator[Episode]:
        return iter(self.episodes)

    def episode(self, index: int) -> Episode:
        """The episode at ``index``, from 0; IndexError outside the list (negative indices included)."""
        if not 0 <= index < len(self.episodes):
            raise IndexError(f"episode index {index}: task {self.name!r} has {len(self.episodes)} episodes, from 0")
        return self.episodes[index]

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode, drawn uniformly with ``rng``."""
        return self.episodes[int(rng.integers(len(self.episodes)))]


class EpisodeGenerator(Protocol):
    """Makes episode ``index`` of ``seed`` on demand; ``split`` keeps training and evaluation apart."""

    @property
    def version(self) -> str:
        """Name and number; it changes whenever the same arguments give another episode."""
        ...

    @property
    def knobs(self) -> Mapping[str, Any]:
        """All settings, in plain types."""
        ...

    def episode(self, seed: int, index: int, split: str) -> Episode:
        """The same arguments give the same episode, in every process."""
        ...


class ProceduralTask:
    """An endless task: the episodes of one generator, seed and split.

    Args:
        generator: makes the episodes.
        seed: the generator's seed.
        split: passed on to the generator, e.g. "train".
        name: written to records.

    Attributes:
        arguments: version and knobs of the generator, seed and split.
        sha256: digest of these, which decide every episode.
    """

    size = None

    def __init__(
        self, generator: EpisodeGenerator, seed: int = 0, split: str = "train", name: str = "procedural"
    ) -> None:
        self.generator = generator
        self.seed = seed
        self.split = split
        self.name = name
        self.arguments = {"generator": generator.version, "knobs": dict(generator.knobs), "seed": seed, "split": split}
        self.sha256 = hashlib.sha256(json.dumps(self.arguments, sort_keys=True).encode()).hexdigest()

    def episode(self, index: int) -> Episode:
        """Episode ``index`` (from 0) of the generator; IndexError when negative."""
        if index < 0:
            raise IndexError(f"episode index {index}: task {self.name!r} counts its episodes from 0")
        return self.generator.episode(self.seed, index, self.split)

    def sample(self, rng: np.random.Generator) -> Episode:
        """One episode, its index drawn uniformly below 2**31 with ``rng``."""
        return self.episode(int(rng.integers(INDEX_BOUND)))
