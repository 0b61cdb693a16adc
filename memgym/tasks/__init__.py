"""Tasks: where episodes come from."""

from memgym.tasks.chunking import Chunking, chunk_by_sessions, chunk_by_tokens, chunk_by_turns, parse_chunking
from memgym.tasks.custom import Problem, load_custom, validate_custom
from memgym.tasks.episode import Chunk, Episode, GoldMemory, Question, Turn
from memgym.tasks.locomo import LOCOMO_CATEGORIES, LoCoMo, duplicate_questions
from memgym.tasks.schema import from_record, to_record
from memgym.tasks.task import EpisodeList, ProceduralTask, Task

__all__ = [
    "LOCOMO_CATEGORIES",
    "Chunk",
    "Chunking",
    "Episode",
    "EpisodeList",
    "GoldMemory",
    "LoCoMo",
    "Problem",
    "ProceduralTask",
    "Question",
    "Task",
    "Turn",
    "chunk_by_sessions",
    "chunk_by_tokens",
    "chunk_by_turns",
    "duplicate_questions",
    "from_record",
    "load_custom",
    "parse_chunking",
    "to_record",
    "validate_custom",
]
