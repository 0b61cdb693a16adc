"""Spaces of the memory environments: what an observation and an action may hold."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from gymnasium import spaces

from memgym.memory.operations import OPERATION_KINDS, STORES, Operation
from memgym.memory.validation import check_arguments

MAX_TEXT = 1 << 20  # characters; far above any chunk, so that real data never leaves its space
MAX_ID = 1 << 31
MAX_K = 101
MAX_QUOTE = 65  # lines of a chunk that the action space can quote, and 0 for none
# "invalid" is not in the space: it is what a codec makes of unreadable text, not something to choose.
ACTION_KINDS = tuple(kind for kind in OPERATION_KINDS if kind != "invalid")

Observation = dict[str, Any]
Name = TypeVar("Name", bound=str)


class Unicode(spaces.Space[str]):
    """Strings of any characters, up to ``max_length`` of them.

    ``gymnasium.spaces.Text`` lists its alphabet, defaults to one without a blank, and takes about 200 microseconds to
    check a 4,000-character string; dialogue needs none of that.
    """

    def __init__(self, max_length: int = MAX_TEXT, seed: int | np.random.Generator | None = None) -> None:
        """Create the space.

        Args:
            max_length: Characters.
            seed: Seed of ``sample``.
        """
        if max_length < 1:
            raise ValueError(f"Unicode max_length={max_length}: expected at least 1 character")
        self.max_length = max_length
        super().__init__(dtype=str, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        """False: text has no fixed-size array."""
        return False

    def sample(self, mask: None = None, probability: None = None) -> str:
        """A short string over printable ASCII and a few letters beyond it."""
        length = int(self.np_random.integers(0, min(self.max_length, 24) + 1))
        codes = self.np_random.integers(0x20, 0x180, size=length)
        return "".join(chr(code) for code in codes)

    def contains(self, x: Any) -> bool:
        """Whether ``x`` is a string that is not too long."""
        return isinstance(x, str) and len(x) <= self.max_length

    def to_jsonable(self, sample_n: Iterable[str]) -> list[str]:
        """Strings are JSON already."""
        return list(sample_n)

    def from_jsonable(self, sample_n: list[Any]) -> list[str]:
        """Strings are JSON already."""
        return list(sample_n)

    def __repr__(self) -> str:
        return f"Unicode({self.max_length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unicode) and self.max_length == other.max_length


def observation_space(*, question_visible: bool) -> spaces.Dict:
    """The observation of one step; ``MemoryEnv`` documents each field."""
    fields: dict[str, spaces.Space[Any]] = {
        "chunk": Unicode(),
        "timestamp": Unicode(64),
        "core": Unicode(),
        "entries": spaces.Sequence(
            spaces.Dict(
                {
                    "id": spaces.Discrete(MAX_ID),
                    "store": spaces.Discrete(len(STORES)),
                    "text": Unicode(),
                    "timestamp": Unicode(64),
                }
            )
        ),
        "results": spaces.Sequence(Unicode()),
        "budget_left": spaces.Box(-1, np.iinfo(np.int64).max, shape=(len(STORES) + 1,), dtype=np.int64),
        "progress": spaces.Box(0, np.iinfo(np.int64).max, shape=(2,), dtype=np.int64),
    }
    if question_visible:
        fields["questions"] = spaces.Sequence(Unicode())
    return spaces.Dict(fields)


def answer_observation_space() -> spaces.Dict:
    """The observation of an answer environment; ``AnswerEnv`` documents each field."""
    memory = spaces.Dict(
        {"id": spaces.Discrete(MAX_ID), "speaker": Unicode(), "text": Unicode(), "timestamp": Unicode(64)}
    )
    return spaces.Dict(
        {
            "question": Unicode(),
            "asked": Unicode(64),
            "core": Unicode(),
            "memories": spaces.Sequence(memory),
            "progress": spaces.Box(0, 1, shape=(2,), dtype=np.int64),
        }
    )


def action_space() -> spaces.Sequence:
    """A list of operations, carried out in order."""
    return spaces.Sequence(
        spaces.Dict(
            {
                "kind": spaces.Discrete(len(ACTION_KINDS)),
                "store": spaces.Discrete(len(STORES)),
                "text": Unicode(),
                "entry_id": spaces.Discrete(MAX_ID),
                "timestamp": Unicode(64),
                "k": spaces.Discrete(MAX_K),
                "quote": spaces.Discrete(MAX_QUOTE),
            }
        )
    )


def operations_from_action(action: Iterable[Operation | Mapping[str, Any]]) -> list[Operation]:
    """An action as operations.

    Raises:
        TypeError: The action is no sequence, or a member of it is no operation.
    """
    if isinstance(action, str | bytes | Mapping) or not isinstance(action, Iterable):
        raise TypeError(
            f"an action is a sequence of operations, got {type(action).__name__}: put a single operation into a list, "
            "and give model text to TextActionWrapper"
        )
    return [operation_from_action(item) for item in action]


def operation_from_action(item: Operation | Mapping[str, Any]) -> Operation:
    """One member of an action as an ``Operation``; operations pass through.

    Raises:
        TypeError: The item is neither, or a field of it has the wrong type or is outside its space.
    """
    if isinstance(item, Operation):
        check_arguments(item, (), "")
        return item
    if not isinstance(item, Mapping):
        raise TypeError(
            f"an action is a sequence of operations; got an item of type {type(item).__name__}, expected "
            "memgym.Operation or a dict with kind, store, text, entry_id, timestamp, k, quote"
        )
    try:
        operation = Operation(
            kind=_choice(ACTION_KINDS, item["kind"]),
            store=_choice(STORES, item["store"]),
            text=item["text"],
            entry_id=operator.index(item["entry_id"]),
            timestamp=item["timestamp"],
            k=operator.index(item["k"]),
            quote=operator.index(item["quote"]),
        )
    except (KeyError, IndexError, TypeError) as error:
        raise TypeError(f"operation {dict(item)!r} is not in the action space: {error!r}") from error
    check_arguments(operation, (), "")
    return operation


def _choice(names: Sequence[Name], index: Any) -> Name:
    """The name at an index of a ``Discrete`` space; a list would take negative ones too."""
    number = operator.index(index)
    if number < 0:
        raise IndexError(f"index {number}: expected 0 to {len(names) - 1}")
    return names[number]


def unbatch(observations: Mapping[str, Any], index: int) -> Observation:
    """The observation of one sub-environment out of a vector environment's."""
    return {key: values[index] for key, values in observations.items()}
