"""What a teacher leaves behind for MemLoRA: samples as JSONL, and the examples they make for a tokenizer.

Distillation is output-only, next-token training on the text a teacher wrote (arXiv 2512.04763): a sample holds no ids
and no logits, and serves a student with any tokenizer.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from agents.backbone import Backbone
from agents.memlora import OPERATIONS
from agents.prompts.chat import chat_ids
from agents.trained_as import Record, options_of
from memgym.records import Manifest
from train.examples import Example

MAX_TOKENS = 2048  # of a prompt and its completion, in tokens of the student
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sample:
    """One reply to imitate."""

    operation: str  # "extract", "update" or "answer"
    conversation: str  # id of the episode
    split: str  # of the episode: "train"
    chunk: int  # index of the chunk that was read; of an answer, of the last one
    system: str  # the prompt's two parts, as the student will read them
    user: str
    completion: str
    turns: tuple[str, ...]  # ids of the turns it goes back to
    teacher: str


TRAINED_AS: dict[str, Record] = {
    "extract": {"role": "extract", "style": "terse"},
    "update": {"role": "update", "style": "terse"},
    "answer": {"role": "answerer", "distil": False},
}
"""What an adapter is that is trained on the samples of an operation (``agents.trained_as``)."""


def samples_path(folder: str | Path, operation: str) -> Path:
    """Where the samples of one operation are kept."""
    return Path(folder) / f"{operation}.jsonl"


def write_samples(path: str | Path, samples: Iterable[Sample]) -> None:
    """Write one JSON object per line, over what was there."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(sample), ensure_ascii=False) + "\n" for sample in samples]
    # A model may write half a surrogate pair, which is no UTF-8; its backslash form is its escape in JSON.
    path.write_text("".join(lines), encoding="utf-8", errors="backslashreplace")


def read_samples(path: str | Path) -> list[Sample]:
    """The samples of a file.

    Raises:
        ValueError: There is no such file, a line is no sample, or a sample is not of the training split; the message
            names the line or the conversation.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: no such file; expected samples written by train.distill")
    rows = path.read_text(encoding="utf-8").split("\n")
    samples = [_read_sample(row, f"{path}, line {number}") for number, row in enumerate(rows, start=1) if row.strip()]
    for sample in samples:
        check_training_split(sample.conversation, sample.split, str(path))
    return samples


def check_training_split(conversation: str, split: str, where: str) -> None:
    """Refuse a conversation that scores will be reported or choices made on.

    Raises:
        ValueError: Its split is not "train".
    """
    if split != "train":
        raise ValueError(
            f"{where}: conversation {conversation!r} is of the {split} split; only training conversations may be "
            "distilled: leave it out of the teacher's log"
        )


def load_examples(
    path: str | Path, tokenizer: PreTrainedTokenizerBase, *, max_tokens: int = MAX_TOKENS
) -> list[Example]:
    """The samples of a file as token ids, each completion with the end token.

    Longer ones are left out, and their number is logged: an example that is cut would teach to stop in the middle.

    Args:
        path: JSONL written by ``train.distill``.
        tokenizer: The student's, with a chat template.
        max_tokens: Longest prompt and completion together.

    Raises:
        ValueError: See ``read_samples``; or nothing is left.
    """
    examples = [_example(sample, tokenizer) for sample in read_samples(path)]
    kept = [example for example in examples if len(example.prompt_ids) + len(example.completion_ids) <= max_tokens]
    if not kept:
        raise ValueError(
            f"{path}: none of {len(examples)} samples has at most {max_tokens} tokens: nothing to train on"
        )
    if len(kept) < len(examples):
        dropped = len(examples) - len(kept)
        logger.warning("%s: left out %d of %d samples, over %d tokens", path, dropped, len(examples), max_tokens)
    return kept


def distilled_examples(path: str | Path, backbone: Backbone) -> list[Example]:
    """What the adapter "default" learns from a file, after recording what it is trained as.

    Raises:
        ValueError: See ``operation_of`` and ``load_examples``; the file has left the folder with the manifest of its
            distillation; or the adapter has been trained for something else.
    """
    record = TRAINED_AS[operation_of(path)]
    Manifest.read(Path(path).parent)
    known = backbone.trained_as.get("default", {})
    options = {name: value for name, value in record.items() if name != "role"}
    options_of(known or None, record["role"], options, options)
    backbone.trained_as["default"] = {**known, **record}
    return load_examples(path, backbone.tokenizer)


def operation_of(path: str | Path) -> str:
    """The operation that the samples of a file are of.

    Raises:
        ValueError: See ``read_samples``; there are none, or they are of several operations.
    """
    operations = sorted({sample.operation for sample in read_samples(path)})
    if len(operations) != 1:
        raise ValueError(
            f"{path}: samples of {' and '.join(operations) or 'no operation'}: expected one, as train.distill writes "
            "them; one adapter learns one operation"
        )
    return operations[0]


def _example(sample: Sample, tokenizer: PreTrainedTokenizerBase) -> Example:
    completion = tokenizer(sample.completion, add_special_tokens=False)["input_ids"]
    return Example(chat_ids(tokenizer, sample.system, sample.user), [*completion, tokenizer.eos_token_id])


def _read_sample(row: str, where: str) -> Sample:
    try:
        values: dict[str, Any] = json.loads(row)
        sample = Sample(
            **{field.name: values[field.name] for field in fields(Sample)} | {"turns": tuple(values["turns"])}
        )
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise ValueError(f"{where}: not a sample of train.distill ({error!r})") from error
    if sample.operation not in OPERATIONS:
        raise ValueError(f"{where}: operation {sample.operation!r}: expected one of {', '.join(OPERATIONS)}")
    return sample
