"""The formats in which models write operations, by name."""

from memgym.memory.codecs.base import MAX_CHARACTERS, Codec
from memgym.memory.codecs.lines import LinesCodec
from memgym.memory.codecs.mem_alpha import MemAlphaCodec
from memgym.memory.codecs.memory_r1 import MemoryR1Codec

CODECS: dict[str, Codec] = {
    "mem_alpha": MemAlphaCodec(),
    "memory_r1": MemoryR1Codec(),
    "lines": LinesCodec(),
}


def get_codec(name: str) -> Codec:
    """The codec called ``name``.

    Raises:
        ValueError: If there is none.
    """
    if name not in CODECS:
        raise ValueError(f"codec {name!r}: expected one of {', '.join(CODECS)}")
    return CODECS[name]


__all__ = ["CODECS", "MAX_CHARACTERS", "Codec", "LinesCodec", "MemAlphaCodec", "MemoryR1Codec", "get_codec"]
