"""Retrieval over the whole stream by sentences: every sentence is one entry, without a budget."""

from __future__ import annotations

from agents.baselines.rag import Rag
from agents.baselines.verbatim import insert_verbatim, turn_lines
from memgym.envs.spaces import Observation
from memgym.rollout import Decision
from memgym.sentences import sentence_lines, split_speaker


class RagSentences(Rag):
    """As ``rag``, but an entry says one thing: more of them fit into what the reader is given."""

    name = "rag_sentences"

    def decide(self, observation: Observation, episode: int) -> Decision:
        """Insert the sentences of the chunk, short ones together (``memgym.sentences``)."""
        lines = [sentence for line in turn_lines(observation) for sentence in sentence_lines(*split_speaker(line))]
        return Decision(tuple(map(insert_verbatim, lines)))
