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

And what is done with it:

    facts, core_facts                              what is to be known
    fact_writing, fact_rows, fact_edit, overlay    written into rows that little else reads, and taken out again
    statistics                                     what the gates do
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
from agents.engram.core_facts import core_facts
from agents.engram.fact_edit import FactEdit, load_fact_edit
from agents.engram.fact_writing import write_facts
from agents.engram.facts import Fact, recall
from agents.engram.hashing import DEAD, NgramHasher
from agents.engram.layer import EngramLayer, Lookup, Recorder
from agents.engram.statistics import GateStatistics, plot_gates
from agents.engram.storage import has_engram, is_saved_in, load_engram, reload_engram, save_engram

__all__ = [
    "DEAD",
    "Compression",
    "EngramConfig",
    "EngramLayer",
    "Fact",
    "FactEdit",
    "GateStatistics",
    "Lookup",
    "NgramHasher",
    "Recorder",
    "attach",
    "compress_vocabulary",
    "core_facts",
    "detach",
    "engram_layers",
    "engram_off",
    "has_engram",
    "hasher_of",
    "is_attached",
    "is_saved_in",
    "load_engram",
    "load_fact_edit",
    "plot_gates",
    "recall",
    "reload_engram",
    "save_engram",
    "set_trainable",
    "shared_layers",
    "write_facts",
]
