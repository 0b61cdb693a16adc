"""memgym/Dialogue-v0: procedural dated dialogues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from memgym.envs.memory import MemoryEnv
from memgym.envs.vector import vector_entry_point
from memgym.tasks.procedural import SPLITS, DialogueConfig, DialogueGenerator
from memgym.tasks.task import ProceduralTask


class DialogueEnv(MemoryEnv):
    """Remember what two invented people told each other.

    ## Description
    An endless supply of seeded two-person dialogues over several dated sessions: facts, events, knowledge that is
    updated or corrected, and chit-chat. Spaces, episode end and information are those of `MemoryEnv`; train,
    validation and test never share a persona.

    ## Starting State
    An empty memory. `reset(seed=s)` draws the same dialogue everywhere; `reset(options={"episode": i})` names
    dialogue i.

    ## Reward
    The recipe `reward`; by default the mean score of the exam less small costs of failed calls.

    ## Arguments
    ```python
    gymnasium.make("memgym:memgym/Dialogue-v0", split="test", budget=120, dialogue={"chunks": 4, "noise": 0.5})
    ```
    * `split`: "train", "validation" or "test".
    * `dialogue`: fields of `DialogueConfig` (length, noise, update rate, which questions are asked, ...).
    * `task_seed`: another value gives another endless supply.
    * every field of `EnvConfig`: `budget`, `reward`, `reader`, ...

    ## Version History
    * v0: first version.
    """

    def __init__(
        self,
        *,
        split: str = "train",
        dialogue: Mapping[str, Any] | None = None,
        task_seed: int = 0,
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        """Create the environment; the class docstring lists the arguments."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r}: expected one of {', '.join(SPLITS)}")
        if not isinstance(task_seed, int) or isinstance(task_seed, bool):
            raise ValueError(f"task_seed={task_seed!r}: expected a whole number")
        generator = DialogueGenerator(**_knobs({} if dialogue is None else dialogue))
        task = ProceduralTask(generator, task_seed, split, name="dialogue")
        super().__init__(task, render_mode=render_mode, **config)


def _knobs(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with tuples, which they are made of, in place of lists, which is what YAML and JSON have."""
    known = [knob.name for knob in fields(DialogueConfig)]
    if not isinstance(settings, Mapping):
        raise ValueError(f"dialogue={settings!r}: expected a mapping of some of {', '.join(known)}")
    if unknown := [name for name in settings if name not in known]:
        raise ValueError(f"dialogue has no setting {unknown[0]!r}: expected some of {', '.join(known)}")
    return {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}


make_vector = vector_entry_point(DialogueEnv)
