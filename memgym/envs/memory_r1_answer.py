"""memgym/MemoryR1Answer-v0: a question and 60 retrieved memories, 30 of each speaker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memgym.envs.answer import AnswerConfig, AnswerEnv
from memgym.envs.source import source_task
from memgym.envs.vector import vector_entry_point
from memgym.memory.bank import MemoryBank
from memgym.memory.encoder import Encoder, Retrieval, choose_retrieval, load_encoder
from memgym.preparers import make_preparer
from memgym.tasks.prepared import Preparer
from memgym.tasks.retrieved_questions import RETRIEVED, RetrievedQuestions
from memgym.tasks.task import Task


@dataclass(frozen=True, slots=True)
class MemoryR1AnswerConfig(AnswerConfig):
    """Settings of ``MemoryR1AnswerEnv``: those of every answer environment, and how memories are retrieved.

    Raises:
        TypeError: The encoder is none.
        ValueError: There is no such search, or it needs an encoder.
    """

    memories: int = RETRIEVED
    """Retrieved per question, of all speakers together."""
    retrieval: Retrieval | None = None
    """As in ``memgym.envs.config.EnvConfig``, like the next three."""
    encoder: str | Encoder | None = None
    neighbours: int = 0
    calendar_dates: bool = False

    def __post_init__(self) -> None:
        # What no bank can be made with is refused here, not at the first reset.
        self.make_bank().close()

    def make_bank(self) -> MemoryBank:
        """An empty memory that is searched with these settings."""
        return MemoryBank(
            budget=self.make_budget(),
            encoder=load_encoder(self.encoder),
            retrieval=self.retrieval,
            neighbours=self.neighbours,
            calendar_dates=self.calendar_dates,
        )

    def in_effect(self) -> dict[str, Any]:
        """Every setting as it takes effect, for records."""
        encoder = load_encoder(self.encoder)
        return {
            **AnswerConfig.in_effect(self),
            "memories": self.memories,
            "retrieval": choose_retrieval(encoder, self.retrieval),
            "encoder": encoder,
            "neighbours": self.neighbours,
            "calendar_dates": self.calendar_dates,
        }


class MemoryR1AnswerEnv(AnswerEnv):
    """Pick the useful ones of 60 retrieved memories and answer a question (Memory-R1, arXiv 2508.19828).

    ## Description
    An episode is one question of a dialogue and what was retrieved for it from the memory of the whole dialogue, the
    same number for every speaker: 30 each where there are two. Questions that the dialogue cannot answer, such as
    LoCoMo's category 5, are left out, which leaves LoCoMo with 152 questions to train on, 81 to validate and 1,307 to
    test. Spaces, episode end and information are those of `AnswerEnv`.

    ## Starting State
    The question drawn by the seed or named by `reset(options={"episode": index})`.

    ## Reward
    Exact match, as in the paper. With small models it is 0 for most groups of rollouts, which then teach nothing: "f1"
    pays the question's own metric, "em_else_f1" the larger of the two, and weights such as
    `{"em_else_f1": 1.0, "format": 0.1}` any mixture of the terms.

    ## Arguments
    ```python
    gymnasium.make("memgym:memgym/MemoryR1Answer-v0", split="train", reward="em_else_f1", bank="runs/manager")
    ```
    * `source`: the memory environment whose dialogues are used, "memgym/LoCoMo-v0" by default, or a task.
    * `split`: which split of it; `source_kwargs`: its further arguments, such as `path` and `chunking`.
    * `bank`: how the memory of a dialogue is made. "turns" (word for word), "sentences" (of them), "facts"
      (its gold memories), "annotations" (those of LoCoMo's file), the folder of a run or its `trajectories.jsonl` (what
      a recorded policy stored), a folder of exported banks, or an object such as `memgym.preparers.PolicyBanks`, which
      lets an agent write it.
    * `memories`: how many are retrieved, of all speakers together.
    * `retrieval`, `encoder` and `neighbours`: how, as for `MemoryEnv`; by BM25 unless there is an encoder.
    * `calendar_dates`: whether the memory has them, as for `MemoryEnv`.
    * `reward` and every other field of `AnswerConfig`.

    ## Version History
    * v0: first version.
    """

    config: MemoryR1AnswerConfig
    config_type = MemoryR1AnswerConfig

    def __init__(
        self,
        *,
        source: str | Task = "memgym/LoCoMo-v0",
        split: str | None = "train",
        source_kwargs: Mapping[str, Any] | None = None,
        bank: str | Preparer = "turns",
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        """Create the environment; the class docstring lists the arguments."""
        kwargs = source_kwargs or {}
        dialogues = source_task(source, split, kwargs)
        settings = MemoryR1AnswerConfig(**config)
        task = RetrievedQuestions(
            dialogues,
            prepare=make_preparer(bank, dialogues, kwargs.get("path")),
            memories=settings.memories,
            open_bank=settings.make_bank,
        )
        super().__init__(task, render_mode=render_mode, **config)


make_vector = vector_entry_point(MemoryR1AnswerEnv)
