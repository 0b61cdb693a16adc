"""Seeded, addressable persona dialogues with an exam whose every answer can be traced to its turns."""

from __future__ import annotations

from memgym.tasks.procedural.config import CATEGORIES, SPLITS, TOPICS, DialogueConfig
from memgym.tasks.procedural.facts import Fact
from memgym.tasks.procedural.generator import Dialogue, DialogueGenerator

__all__ = ["CATEGORIES", "SPLITS", "TOPICS", "Dialogue", "DialogueConfig", "DialogueGenerator", "Fact"]
