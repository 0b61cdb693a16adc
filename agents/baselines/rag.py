"""Retrieval over the whole stream: every turn is stored, without a budget."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from agents.baselines.append_all import AppendAll
from agents.baselines.verbatim import SEES_EVERYTHING
from memgym.memory.budget import UNLIMITED


class Rag(AppendAll):
    """BM25 over all turns, verbatim. Not a memory under a budget: what retrieval alone could do with everything."""

    name = "rag"
    env_overrides: ClassVar[Mapping[str, Any]] = {**SEES_EVERYTHING, "budget": UNLIMITED}
