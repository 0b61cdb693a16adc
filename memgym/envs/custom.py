"""memgym/Custom-v0: your own dialogues."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memgym.envs.memory import MemoryEnv
from memgym.envs.vector import vector_entry_point
from memgym.tasks.custom import Custom


class CustomEnv(MemoryEnv):
    """Remember dialogues from a JSON or JSONL file of yours.

    ## Description
    One row of the file is one episode; `docs/custom-data.md` describes the schema and `memgym validate FILE` checks a
    file against it. Spaces, episode end and information are those of `MemoryEnv`.

    ## Starting State
    An empty memory and the first chunk of the episode drawn by the seed or named by
    `reset(options={"episode": index})`.

    ## Reward
    The recipe `reward`; every question is scored by the metric it names.

    ## Arguments
    ```python
    gymnasium.make("memgym:memgym/Custom-v0", path="dialogues.jsonl", budget=500)
    ```
    * `path`: the file.
    * `split`: keep the episodes of one split; None keeps all.
    * every field of `EnvConfig`: `budget`, `reward`, `reader`, ...

    ## Version History
    * v0: first version.
    """

    def __init__(
        self, *, path: str | Path, split: str | None = None, render_mode: str | None = None, **config: Any
    ) -> None:
        """Create the environment; the class docstring lists the arguments."""
        super().__init__(Custom(path, split), render_mode=render_mode, **config)


make_vector = vector_entry_point(CustomEnv)
