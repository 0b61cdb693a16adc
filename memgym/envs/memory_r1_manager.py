"""memgym/MemoryR1Manager-v0: one turn, a memory of the turns before it, and the questions about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memgym.envs.memory import MemoryEnv
from memgym.envs.source import source_task
from memgym.envs.vector import vector_entry_point
from memgym.preparers import make_preparer
from memgym.rewards import Recipe, memory_r1
from memgym.tasks.evidence_turns import WINDOW, EvidenceTurns
from memgym.tasks.prepared import Preparer
from memgym.tasks.task import Task

REWARDS = {"em": "exact_match", "f1": "correctness", "em_else_f1": "em_else_f1"}  # name here -> term of the recipe


class MemoryR1ManagerEnv(MemoryEnv):
    """Decide what one turn changes in a memory made beforehand (Memory-R1, arXiv 2508.19828).

    ## Description
    An episode is one turn that a question is about. The memory holds what was made of the turns before it, so that the
    agent meets it in the middle of a dialogue, with entries to update and to delete. It edits the memory once, and a
    frozen reader answers the questions linked to the turn: those whose evidence names it. The 152 training questions
    of LoCoMo (conv-26) give 133 such turns. Spaces and information are those of `MemoryEnv`.

    ## Starting State
    A turn drawn by the seed or named by `reset(options={"episode": index})`, and the memory of the `window` turns
    before it; the newest part of it under a budget that is too small for all.

    ## Reward
    The questions' mean exact match, as in the paper. With small models it is 0 for most groups of rollouts, which then
    teach nothing: "f1" pays each question's own metric, "em_else_f1" the larger of the two.

    ## Episode End
    Terminates after the turn, unless a search stays on it. With `replay=True` after all turns of the window and it.

    ## Arguments
    ```python
    gymnasium.make("memgym:memgym/MemoryR1Manager-v0", split="train", reward="f1", reader=answer_agent)
    ```
    * `source`: the memory environment whose dialogues are used, "memgym/LoCoMo-v0" by default, or a task.
    * `split`: which split of it; `source_kwargs`: its further arguments, such as `path`.
    * `window`: turns before the one at hand that the memory is made from, None for all. The paper's algorithm says 50,
      its text 24.
    * `bank`: how it is made. "turns" (episodic entries, word for word), "facts" (gold memories of the dialogue, as
      semantic entries), "annotations" (those of LoCoMo's file), or an object such as `memgym.preparers.PolicyBanks`,
      which lets an agent write it. The codec memory_r1 knows one store, semantic: give it facts.
    * `replay`: begin with an empty memory and read the turns of the window one by one first, so that the agent learns
      on memories of its own making.
    * `reward`: "em", "f1", "em_else_f1", or what `MemoryEnv` takes.
    * every field of `EnvConfig`: `reader`, `budget`, ... Here `show` is "relevant" by default.

    ## Version History
    * v0: first version.
    """

    def __init__(
        self,
        *,
        source: str | Task = "memgym/LoCoMo-v0",
        split: str | None = "train",
        source_kwargs: Mapping[str, Any] | None = None,
        window: int | None = WINDOW,
        bank: str | Preparer = "turns",
        replay: bool = False,
        reward: str | Recipe = "em",
        show: str = "relevant",
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        """Create the environment; the class docstring lists the arguments."""
        kwargs = source_kwargs or {}
        dialogues = source_task(source, split, kwargs)
        prepare = make_preparer(bank, dialogues, kwargs.get("path"))
        task = EvidenceTurns(dialogues, window=window, prepare=prepare, replay=replay)
        recipe = memory_r1(REWARDS[reward]) if isinstance(reward, str) and reward in REWARDS else reward
        super().__init__(task, render_mode=render_mode, reward=recipe, show=show, **config)


make_vector = vector_entry_point(MemoryR1ManagerEnv)
