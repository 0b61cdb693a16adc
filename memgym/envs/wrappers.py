"""Wrappers of the memory environments."""

from __future__ import annotations

from typing import Any

import gymnasium

from memgym.envs.memory import Action
from memgym.envs.spaces import Observation, Unicode
from memgym.memory.codecs import Codec, get_codec


class TextActionWrapper(gymnasium.ActionWrapper[Observation, str, Action], gymnasium.utils.RecordConstructorArgs):
    """Takes raw model text as the action and reads it through a codec.

    Text that the codec cannot read becomes failed operations, never an exception.
    """

    def __init__(self, env: gymnasium.Env[Observation, Action], codec: str | Codec = "lines") -> None:
        """Wrap ``env``.

        Args:
            env: A memory environment.
            codec: Name in `memgym.memory.CODECS`, or a codec.
        """
        gymnasium.utils.RecordConstructorArgs.__init__(self, codec=codec)
        super().__init__(env)
        self.codec = get_codec(codec) if isinstance(codec, str) else codec
        self.action_space = Unicode()

    def action(self, action: str) -> Action:
        """The operations that the text asks for."""
        return self.codec.parse(action)

    def step(self, action: str) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """Read the text and step.

        Raises:
            TypeError: The action is not a string.
        """
        if not isinstance(action, str):
            raise TypeError(f"TextActionWrapper takes model text (str) as the action, got {type(action).__name__}")
        return super().step(action)
