"""Extract facts, look up what resembles them, update: the pipeline of Mem0 and MemLoRA as a policy of the gym."""

from __future__ import annotations

import ast
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from agents.base import Agent
from agents.facts import Change, Note, read_changes, read_facts, to_operations
from memgym.envs.spaces import Observation
from memgym.memory.operations import Operation
from memgym.rollout import Decision

_FOUND = re.compile(r"#([0-9]+) \S* (.*)", re.DOTALL)  # a line of what the environment says a search has found


@dataclass(frozen=True, slots=True)
class Lookup:
    """A fact and the notes that a search found for it, best first."""

    fact: str
    notes: tuple[Note, ...]


@dataclass(frozen=True, slots=True)
class ExtractRequest:
    """One extraction."""

    chunk: str  # one line per turn
    timestamp: str  # ISO 8601, "" when undated
    episode: int  # index in the task
    index: int  # of the chunk


@dataclass(frozen=True, slots=True)
class UpdateRequest:
    """One update decision."""

    fact: str
    notes: tuple[Note, ...]  # never empty
    timestamp: str  # of the chunk the fact comes from
    episode: int  # index in the task
    index: int  # of the chunk


@dataclass(frozen=True, slots=True)
class Reply:
    """What was written for a request."""

    text: str
    prompt_ids: tuple[int, ...] = ()  # with a language model of our own
    completion_ids: tuple[int, ...] = ()
    truncated: bool = False  # the token limit cut it off


Listener = Callable[[ExtractRequest | UpdateRequest, Reply], None]


class FactPipeline(Agent, ABC):
    """Takes two steps for a chunk: the first extracts facts and searches for each, the second updates the memory.

    The environment stays on a chunk while an agent searches and says in the next observation what was found, queries
    included. So nothing has to be remembered between the steps, and episodes may come in any order. A chunk without
    facts takes one step. A fact for which nothing is found is added without asking.

    All facts of a chunk are held against the memory as it was before the chunk, in one batch. An entry is changed at
    most once by that: a second update of it is added as an entry of its own, so that it does not overwrite the first.

    Subclasses implement ``extract`` and ``update``.
    """

    env_overrides: ClassVar[Mapping[str, Any]] = {"max_steps_per_chunk": 2}

    def __init__(
        self, name: str, *, similar: int = 5, store: str = "semantic", listener: Listener | None = None
    ) -> None:
        """Create the policy.

        Args:
            name: Written to records.
            similar: Notes looked up per fact. Mem0 takes 5 (arXiv 2504.19413).
            store: Where facts are kept, "semantic" or "episodic"; both are searched.
            listener: Told every request and its reply, in order; how a teacher's work is logged.
        """
        self.name = name
        self.similar = similar
        self.store = store
        self.listener = listener

    @abstractmethod
    def extract(self, requests: Sequence[ExtractRequest]) -> list[Reply]:
        """Facts, one per line, for every request; see ``agents.facts``."""

    @abstractmethod
    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """Changes, one per line, for every request; see ``agents.facts``."""

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """Extraction where a chunk is new, updates where facts have been looked up; one batch of each."""
        lookups = [read_lookups(observation["results"]) for observation in observations]
        fresh = [row for row, found in enumerate(lookups) if not found]
        due = [row for row, found in enumerate(lookups) if found]
        decisions = dict(zip(fresh, self._extract([(observations[row], episodes[row]) for row in fresh]), strict=True))
        decisions |= zip(
            due, self._update([(observations[row], episodes[row], lookups[row]) for row in due]), strict=True
        )
        return [decisions[row] for row in range(len(observations))]

    def _extract(self, rows: Sequence[tuple[Observation, int]]) -> list[Decision]:
        requests = [
            ExtractRequest(observation["chunk"], observation["timestamp"], episode, int(observation["progress"][0]))
            for observation, episode in rows
        ]
        decisions = []
        for request, reply in zip(requests, self.extract(requests) if requests else [], strict=True):
            self._tell(request, reply)
            searches = [
                Operation("search", text=fact, k=self.similar)
                for fact in read_facts(reply.text, truncated=reply.truncated)
            ]
            decisions.append(
                Decision(tuple(searches), reply.text, reply.prompt_ids, reply.completion_ids, reply.truncated)
            )
        return decisions

    def _update(self, rows: Sequence[tuple[Observation, int, list[Lookup]]]) -> list[Decision]:
        requests = [
            UpdateRequest(found.fact, found.notes, observation["timestamp"], episode, int(observation["progress"][0]))
            for observation, episode, lookups in rows
            for found in lookups
            if found.notes
        ]
        replies = self.update(requests) if requests else []
        for request, reply in zip(requests, replies, strict=True):
            self._tell(request, reply)
        pending = iter(replies)
        return [self._decide([(found, next(pending) if found.notes else None) for found in row[2]]) for row in rows]

    def _decide(self, answered: Sequence[tuple[Lookup, Reply | None]]) -> Decision:
        """The decision of a chunk.

        It counts the tokens of all its generations, but they have no prompt in common and are not trained: no single
        one is the chunk's.
        """
        operations = [
            operation
            for found, reply in answered
            for operation in to_operations(
                [Change("ADD")] if reply is None else read_changes(reply.text), found.fact, found.notes, self.store
            )
        ]
        replies = [reply for _, reply in answered if reply is not None]
        return Decision(
            tuple(_once_per_entry(operations, self.store)),
            text="\n".join(reply.text for reply in replies),
            completion_ids=tuple(token for reply in replies for token in reply.completion_ids),
            truncated=any(reply.truncated for reply in replies),
        )

    def _tell(self, request: ExtractRequest | UpdateRequest, reply: Reply) -> None:
        if self.listener is not None:
            self.listener(request, reply)


def read_lookups(messages: Sequence[str]) -> list[Lookup]:
    """Facts and what was found for them, out of the ``results`` of an observation; other messages are passed over."""
    lookups = []
    for message in messages:
        head, _, body = message.partition("\n")
        if head.startswith("search ") and head.endswith(":"):
            found = [match for line in body.split("\n") if (match := _FOUND.fullmatch(line))]
            fact = ast.literal_eval(head.removeprefix("search ").removesuffix(":"))
            lookups.append(Lookup(fact, tuple(Note(int(match[1]), match[2]) for match in found)))
    return lookups


def _once_per_entry(operations: Sequence[Operation], store: str) -> Iterator[Operation]:
    touched: set[int] = set()
    for operation in operations:
        if operation.entry_id is None:
            yield operation
        elif operation.entry_id not in touched:
            touched.add(operation.entry_id)
            yield operation
        elif operation.kind == "update":
            yield Operation("insert", store, operation.text)
