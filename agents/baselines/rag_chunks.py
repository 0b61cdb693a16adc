"""Retrieval over the whole stream by chunks: every chunk is one entry, without a budget."""

from __future__ import annotations

from agents.baselines.rag import Rag
from agents.baselines.verbatim import insert_verbatim, turn_lines
from memgym.envs.spaces import Observation
from memgym.rollout import Decision


class RagChunks(Rag):
    """As ``rag``, but a question stays in one entry with its answer: a turn is often found by the words of another."""

    name = "rag_chunks"

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Insert the chunk."""
        lines = turn_lines(observation)
        return Decision((insert_verbatim("\n".join(lines)),) if lines else ())
