"""All agents on one page, and the memory that is deployed with them: ``agents.MemoryAssistant``."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from agents.base import Agent
from memgym.tasks.task import Task

if TYPE_CHECKING:
    from agents.assistant import MemoryAssistant

__all__ = ["AGENTS", "BASELINES", "Agent", "MemoryAssistant", "make_agent"]

AGENTS = {
    # Floors
    "no_memory": "agents.baselines.no_memory:NoMemory",
    "random": "agents.baselines.random_writes:RandomWrites",
    "recency": "agents.baselines.recency:Recency",
    # Simple strategies
    "append_all": "agents.baselines.append_all:AppendAll",
    "rag": "agents.baselines.rag:Rag",  # no budget
    "rag_chunks": "agents.baselines.rag_chunks:RagChunks",  # the same, a chunk per entry
    "rag_sentences": "agents.baselines.rag_sentences:RagSentences",  # the same, a sentence per entry
    "full_context": "agents.baselines.full_context:FullContext",  # no memory: the reader sees the stream
    # Ceiling
    "oracle": "agents.baselines.oracle:Oracle",  # is given the task, and so the gold evidence
    # Language models
    "manager": "agents.manager:MemoryManager",  # backbone=..., adapter=...
    "memlora": "agents.memlora:MemLoRA",  # backbone=..., extract=..., update=...
}
BASELINES = (
    *("no_memory", "random", "recency", "append_all", "rag", "rag_chunks", "rag_sentences", "full_context"),
    "oracle",
)


def make_agent(name: str, *, task: Task, **kwargs: Any) -> Agent:
    """An agent by name.

    Args:
        name: A key of ``AGENTS``.
        task: The task it will act on; only the oracle looks at it.
        kwargs: Passed to the agent.

    Raises:
        ValueError: No agent has that name.
    """
    if name not in AGENTS:
        raise ValueError(f"agent {name!r} is unknown; choose one of {', '.join(AGENTS)}")
    module, _, attribute = AGENTS[name].partition(":")
    agent_type = getattr(import_module(module), attribute)
    if name == "oracle":
        kwargs["task"] = task
    return agent_type(**kwargs)


def __getattr__(name: str) -> Any:
    """The assistant is imported when it is asked for: those who only look up an agent need nothing of it."""
    if name == "MemoryAssistant":
        return import_module("agents.assistant").MemoryAssistant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
