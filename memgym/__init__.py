"""memgym: a reinforcement-learning gym for memory-managing language-model agents.

Importing it registers the environments that `memgym/envs/__init__.py` lists.
"""

from memgym import envs  # noqa: F401  (registers the environments)
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import Budget
from memgym.memory.operations import Entry, Operation, OperationResult
from memgym.tasks.episode import Chunk, Episode, Question, Turn

__version__ = "0.1.0"

__all__ = [
    "Budget",
    "Chunk",
    "Entry",
    "Episode",
    "MemoryBank",
    "Operation",
    "OperationResult",
    "Question",
    "Turn",
    "__version__",
]
