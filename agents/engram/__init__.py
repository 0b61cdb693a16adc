"""Engram, a conditional memory: tables of n-gram embeddings, looked up by hash and gated into a few layers.

Source: arXiv 2601.07372. The parts, in the order in which a token meets them:

    compression   tokens that read alike get one id
    lookback      which token stands before which, past padding and between packed texts
    hashing       n-grams of ids -> rows of the tables
    host          tables in CPU memory, whose rows are fetched ahead
    layer         rows -> what is added to the hidden states
    state         what cached decoding has to remember
    attach        all of it on a loaded Hugging Face model
    storage       and on disk
"""

from agents.engram.attach import (
    attach,
    detach,
    engram_layers,
    engram_off,
    hasher_of,
    is_attached,
    set_trainable,
    shared_layers,
)
from agents.engram.compression import Compression, compress_vocabulary
from agents.engram.config import EngramConfig
from agents.engram.hashing import DEAD, NgramHasher
from agents.engram.layer import EngramLayer, Lookup, Recorder
from agents.engram.storage import has_engram, is_saved_in, load_engram, reload_engram, save_engram

__all__ = [
    "DEAD",
    "Compression",
    "EngramConfig",
    "EngramLayer",
    "Lookup",
    "NgramHasher",
    "Recorder",
    "attach",
    "compress_vocabulary",
    "detach",
    "engram_layers",
    "engram_off",
    "has_engram",
    "hasher_of",
    "is_attached",
    "is_saved_in",
    "load_engram",
    "reload_engram",
    "save_engram",
    "set_trainable",
    "shared_layers",
]
