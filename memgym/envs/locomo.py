"""memgym/LoCoMo-v0: ten long real-world style conversations with 1,986 questions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memgym.envs.memory import MemoryEnv
from memgym.envs.vector import vector_entry_point
from memgym.tasks.locomo import LoCoMo


class LoCoMoEnv(MemoryEnv):
    """Remember a LoCoMo conversation: 19 to 32 dated sessions, 369 to 689 turns (arXiv 2402.17753).

    ## Description
    One episode is one conversation, cut into chunks. The data set is CC BY-NC 4.0 and does not come with memgym: put
    `locomo10.json` where `path` or `$MEMGYM_DATA/locomo/` says. Spaces, episode end and information are those of
    `MemoryEnv`.

    ## Starting State
    An empty memory and the first chunk of the conversation drawn by the seed or named by
    `reset(options={"episode": index})`.

    ## Reward
    The recipe `reward`; questions are scored by the official per-category F1.

    ## Arguments
    ```python
    gymnasium.make("memgym:memgym/LoCoMo-v0", split="test", budget=4000, reward="memgym", reader="extractive")
    ```
    * `split`: "train" (conv-26), "validation" (conv-30), "test" (the other eight) as in Memory-R1, or "all".
    * `path`: the file, its folder, or "hf:owner/name".
    * `chunking`: "session", "turns:N" or "tokens:N".
    * `categories`: which questions are asked; "5" (adversarial) is left out by default.
    * every field of `EnvConfig`: `budget`, `reward`, `reader`, ...

    ## Version History
    * v0: first version.
    """

    def __init__(
        self,
        *,
        split: str = "test",
        path: str | Path | None = None,
        chunking: str = "session",
        categories: Sequence[str] = ("1", "2", "3", "4"),
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        """Create the environment; the class docstring lists the arguments."""
        task = LoCoMo(path, split=split, chunking=chunking, categories=categories)
        super().__init__(task, render_mode=render_mode, **config)


make_vector = vector_entry_point(LoCoMoEnv)
