"""What a teacher was asked and replied, as JSONL: a run that stops has lost nothing that was answered."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply, UpdateRequest
from memgym.exam.reader import Reader, ReadingTask
from memgym.records import plain

CALLS = "calls.jsonl"
Request = TypeVar("Request", ExtractRequest, UpdateRequest, ReadingTask)


class CallLog:
    """Asks what has not been answered yet; every reply is written down as it comes.

    The file begins with what decides the replies. Then one row per call: operation, request, reply and teacher. Tokens
    are no part of it.
    """

    def __init__(
        self, folder: str | Path, teacher: str, deciding: Mapping[str, Any], *, resume: bool = False, together: int = 1
    ) -> None:
        """Open the log of a folder; nothing is written yet.

        Args:
            folder: Of the run; made with the first reply.
            teacher: Name written to each row.
            deciding: The settings that decide the replies.
            resume: Go on with the log of an earlier run.
            together: Most requests asked at a time; the replies to these are lost if one of them fails.

        Raises:
            ValueError: A new run in the folder of an earlier one, a resumed one without a log or with other settings
                than it began with, or a damaged log; one line says which.
        """
        self.path = Path(folder) / CALLS
        self.teacher = teacher
        self.together = together
        self._header = {"settings": plain(deciding)}
        self._replies: dict[str, Reply] = {}
        if resume:
            self._read()
        elif self.path.exists():
            raise ValueError(
                f"{self.path} is there from an earlier run: choose another output_dir, go on with --resume true, or "
                f"delete {folder}"
            )

    def replies(
        self, operation: str, requests: Sequence[Request], ask: Callable[[Sequence[Request]], Sequence[Reply]]
    ) -> list[Reply]:
        """The replies to ``requests``, in order: those in the log, and for the others what ``ask`` gives."""
        keys = [_key(operation, asdict(request)) for request in requests]
        due = [(key, request) for key, request in zip(keys, requests, strict=True) if key not in self._replies]
        missing = list(dict(due).values())  # each once
        for start in range(0, len(missing), self.together):
            batch = missing[start : start + self.together]
            for request, reply in zip(batch, ask(batch), strict=True):
                self._append(operation, request, reply)
        return [self._replies[key] for key in keys]

    def _append(self, operation: str, request: Request, reply: Reply) -> None:
        said: dict[str, Any] = {"text": reply.text, "truncated": reply.truncated}
        row = {"operation": operation, "request": asdict(request), "reply": said, "teacher": self.teacher}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = [row] if self.path.exists() else [self._header, row]
        with self.path.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(written) + "\n" for written in rows)
        self._replies[_key(operation, asdict(request))] = Reply(**said)

    def _read(self) -> None:
        """Take the replies in; a last row that an interruption cut off is removed."""
        if not self.path.is_file():
            raise ValueError(f"--resume true, but there is no {self.path}")
        whole = self.path.read_bytes()
        whole = whole[: whole.rfind(b"\n") + 1]
        for number, line in enumerate(whole.splitlines(), start=1):
            try:
                self._take(json.loads(line), first=number == 1)
            except (json.JSONDecodeError, KeyError, TypeError) as error:
                raise ValueError(f"{self.path}, line {number}: not a call of train.distill ({error!r})") from error
        if whole:
            with self.path.open("r+b") as file:
                file.truncate(len(whole))
        else:
            self.path.unlink()

    def _take(self, row: Mapping[str, Any], *, first: bool) -> None:
        if first:
            self._check(row["settings"])
        else:
            self._replies[_key(row["operation"], row["request"])] = Reply(**row["reply"])

    def _check(self, began: Mapping[str, Any]) -> None:
        now = self._header["settings"]
        for name in {**now, **began}:
            if now.get(name) != began.get(name):
                raise ValueError(
                    f"--resume true, but {name} is {now.get(name)!r} and was {began.get(name)!r} when the run in "
                    f"{self.path.parent} began: resume with its settings, or choose another output_dir"
                )


def _key(operation: str, request: Mapping[str, Any]) -> str:
    return json.dumps([operation, request], sort_keys=True)


class RecordedTeacher(FactPipeline):
    """A teacher whose calls go through a log."""

    def __init__(self, teacher: FactPipeline, calls: CallLog) -> None:
        """Wrap a teacher; it goes by its own name."""
        super().__init__(teacher.name, similar=teacher.similar, store=teacher.store)
        self.teacher = teacher
        self.calls = calls

    def extract(self, requests: Sequence[ExtractRequest]) -> list[Reply]:
        """The teacher's replies."""
        return self.calls.replies("extract", requests, self.teacher.extract)

    def update(self, requests: Sequence[UpdateRequest]) -> list[Reply]:
        """The teacher's replies."""
        return self.calls.replies("update", requests, self.teacher.update)


class RecordedReader:
    """A reader whose answers go through a log; the ``Reader`` protocol of ``memgym.exam.reader``."""

    def __init__(self, reader: Reader, calls: CallLog) -> None:
        """Wrap a reader; it goes by its own name."""
        self.reader = reader
        self.name = reader.name
        self.window = reader.window  # lexical tokens
        self.calls = calls

    def answer(self, tasks: Sequence[ReadingTask]) -> list[str]:
        """The reader's answers."""
        replies = self.calls.replies("answer", tasks, lambda due: [Reply(text) for text in self.reader.answer(due)])
        return [reply.text for reply in replies]
