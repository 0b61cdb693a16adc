"""What a text encoder is, and how the search of a memory bank is chosen. memgym itself has no encoder."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from importlib import import_module
from typing import Literal, Protocol, get_args, runtime_checkable

import numpy as np

Retrieval = Literal["bm25", "dense", "hybrid"]
RETRIEVALS: tuple[Retrieval, ...] = get_args(Retrieval)


@runtime_checkable
class Encoder(Protocol):
    """Turns texts into vectors whose cosine says how close they are in meaning."""

    @property
    def name(self) -> str:
        """Name stored with every vector; it changes whenever vectors may change."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """One finite vector per text, shape (N, D), of any length: a bank normalises them."""
        ...


def choose_retrieval(encoder: Encoder | None, retrieval: str | None) -> Retrieval:
    """How a bank with these arguments searches.

    Args:
        encoder: The text encoder, if there is one.
        retrieval: One of ``RETRIEVALS``; None means "hybrid" with an encoder and "bm25" without.

    Raises:
        TypeError: If the encoder is none.
        ValueError: If there is no such search, or it needs an encoder.
    """
    if encoder is not None and not isinstance(encoder, Encoder):
        raise TypeError(
            f"encoder: expected an object with name, dimension and encode(texts), got {type(encoder).__name__}"
        )
    if retrieval is None:
        return "bm25" if encoder is None else "hybrid"
    if retrieval not in RETRIEVALS:
        raise ValueError(f"retrieval={retrieval!r}: expected one of {', '.join(RETRIEVALS)}, or None")
    if retrieval != "bm25" and encoder is None:
        raise ValueError(f"retrieval={retrieval!r} needs an encoder: pass encoder=..., or use retrieval='bm25'")
    return retrieval


def load_encoder(encoder: str | Encoder | None) -> Encoder | None:
    """The encoder behind a setting.

    Args:
        encoder: ``MODULE:CLASS`` of one that is made without arguments, such as "agents.encoder:TextEncoder", or
            ``MODULE:CLASS@NAME`` of one that is made with a name: of a model, a hub id, a folder. An encoder and None
            stay what they are. One text gives one object, so that a model is in memory once however many environments
            name it.

    Raises:
        ValueError: If the text names no encoder.
        OSError: If the encoder cannot find the model of that name.
    """
    return _make(encoder) if isinstance(encoder, str) else encoder


@functools.cache
def _make(path: str) -> Encoder:
    made_by, at, model = path.partition("@")
    module, _, name = made_by.partition(":")
    if not module or not name or (at and not model):
        raise ValueError(
            f"encoder {path!r}: expected MODULE:CLASS of an encoder, MODULE:CLASS@NAME, or an object with encode(texts)"
        )
    try:
        return getattr(import_module(module), name)(*([model] if model else []))
    except (ImportError, AttributeError, TypeError) as error:
        raise ValueError(f"encoder {path}: expected MODULE:CLASS of an encoder ({error})") from error
