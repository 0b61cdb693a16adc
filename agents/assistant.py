"""A memory for an assistant: it reads messages, keeps what matters in a file, and answers questions from that alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agents.baselines.recency import Recency
from agents.live_env import LiveEnv
from agents.trained_as import read_record
from memgym.envs.config import EnvConfig
from memgym.exam.reader import Reader
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Entry, OperationResult
from memgym.memory.validation import is_timestamp
from memgym.rollout import Policy
from memgym.tasks.chunking import Chunking
from memgym.tasks.episode import Turn

if TYPE_CHECKING:
    from agents.backbone import Backbone

ADAPTERS = ("manager", "extract", "update", "answer")
SPEAKING = ("user", "assistant")
SILENT = ("system", "developer", "tool", "function")  # roles that say nothing of the people who talk
Message = Mapping[str, Any]


class Answer(str):
    """An answer, and the entries that the reader was given for it."""

    entries: tuple[Entry, ...]  # best first

    def __new__(cls, text: str, entries: Sequence[Entry]) -> Self:
        """Make one."""
        answer = super().__new__(cls, text)
        answer.entries = tuple(entries)
        return answer


class MemoryAssistant:
    """Long-term memory over a file: ``observe`` messages, ``answer`` questions, today or in a year.

        with MemoryAssistant("mara.db", adapters="runs/memlora") as memory:
            memory.observe([{"role": "user", "name": "Mara", "content": "I moved to Porto."}])
            print(memory.answer("Where does Mara live?"))

    What it works with depends on the adapters it is given:

    * ``extract`` and ``update``: MemLoRA, which writes facts and keeps them up to date.
    * ``manager``: a Memory Manager as ``train.sft`` and ``train.grpo`` train it.
    * neither: no model decides; messages are kept word for word, with a budget the newest that fit.
    * ``answer``: an Answer Agent. Without it the backbone that was named answers, and if none was named, the
      extractive reader: short answers copied from the memory.

    So without adapters and backbone nothing is loaded at all, and torch need not be installed. What an adapter is shown
    is what it was shown in training, as far as its record knows (``agents.trained_as``) and unless a setting says
    otherwise; how the memory is searched, and how much of it is read for an answer, is the Answer Agent's if there is
    one.

    Attributes:
        bank: The memory itself, for those who want to look into it, search or undo.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        backbone: str | Backbone | None = None,
        adapters: str | PathLike[str] | Mapping[str, str | PathLike[str]] | None = None,
        policy: Policy | None = None,
        codec: str | None = None,
        style: str | None = None,
        turns_per_chunk: int = 4,
        **settings: Any,
    ) -> None:
        """Open the memory.

        Args:
            path: Of the bank's file, which is created if it is not there; ":memory:" keeps nothing.
            backbone: Name, hub id or folder of the model, or a loaded one. None is the embedded default where an
                adapter needs a model, and no model where none does.
            adapters: A folder with one sub-folder per adapter, named as above; the folder of a single adapter that
                says what it was trained as (``agents.trained_as``); or a mapping of names to folders.
            policy: Who manages the memory, in place of what the adapters say.
            codec: Of a manager; None for what it was trained with.
            style: Of a manager's prompts; None for what it was trained with.
            turns_per_chunk: Messages that are read together, of one day at most.
            settings: Fields of ``memgym.envs.memory.EnvConfig``, over those of the training: ``budget`` in tokens,
                ``retrieve``, ``reader``, ...

        Raises:
            ValueError: The file is no bank or is open elsewhere, an adapter is missing, or a setting is wrong.
            OSError: The backbone cannot be found.
        """
        self._chunking = Chunking("turns", turns_per_chunk)
        folders = _adapter_folders(adapters)
        loaded = _load(backbone, folders)
        self._policy = policy or _make_policy(loaded, folders, codec, style)
        acting = [name for name in ADAPTERS if name in folders and (policy is None or name == "answer")]
        view: dict[str, Any] = {**_shown_in_training(folders, acting), **self._policy.env_overrides}
        if isinstance(self._policy, Recency) and settings.get("budget") is None:
            view["shown"] = 0  # it looks at what it holds only to make room
        view |= settings
        if policy is None and isinstance(self._policy, Recency):
            self._policy.calendar_dates = view.get("calendar_dates", False)
        if "reader" not in view:
            view["reader"] = _make_reader(loaded, folders, backbone, view.get("context_tokens"))
        self._env = LiveEnv(path, **view)
        self.bank: MemoryBank = self._env.kept

    def observe(self, messages: Sequence[Message]) -> list[OperationResult]:
        """Read messages and remember what is worth it.

        Args:
            messages: In the order they were said, each with ``role`` ("user" or "assistant"), ``content`` (text) and,
                optionally, ``name`` (who speaks; the role if left out) and ``timestamp`` (ISO 8601). Messages of the
                system and of tools, and those without content, are passed over.

        Returns:
            What changed or could not be changed in the memory, in order.

        Raises:
            ValueError: A message is none; the text says which and why.
        """
        if isinstance(messages, Mapping | str):
            raise ValueError("observe takes a list of messages: put a single one into a list")
        step = self._env.next_step()
        turns = [turn for number, message in enumerate(messages) if (turn := _turn(message, number, step))]
        days = [list(said) for _, said in groupby(turns, key=lambda turn: turn.timestamp[:10])]
        chunks = self._chunking(days)
        results = self._env.read(self._policy, chunks) if chunks else []
        return [result for result in results if result.operation.kind not in ("search", "noop")]

    def answer(self, question: str, *, timestamp: str = "") -> Answer:
        """Answer from the memory alone, which stays as it is.

        Args:
            question: In plain words.
            timestamp: When it is asked (ISO 8601), if that matters.

        Returns:
            The answer as a string, with the entries it was read from in its ``entries``.
        """
        task = self._env.look_up(question, timestamp)
        (text,) = self._env.exam.reader.answer([task])
        return Answer(text, task.context)

    def close(self) -> None:
        """Close the file."""
        self.bank.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _turn(message: Message, number: int, step: int) -> Turn | None:
    """A message as a turn; None if nobody says anything in it."""
    where = f"message {number}"
    if not isinstance(message, Mapping) or message.get("role") not in (*SPEAKING, *SILENT):
        raise ValueError(f"{where}: expected a mapping with a role out of {', '.join(SPEAKING)}, got {message!r:.80}")
    content = message.get("content")
    if message["role"] in SILENT or content is None:
        return None
    timestamp = message.get("timestamp") or ""
    if not isinstance(content, str):
        raise ValueError(f"{where}: content is {type(content).__name__}, expected text")
    if not isinstance(timestamp, str) or (timestamp and not is_timestamp(timestamp)):
        raise ValueError(f"{where}: timestamp {timestamp!r}: expected ISO 8601, such as 2024-05-01T09:30")
    text = " ".join(content.split())  # a chunk has one line per turn
    speaker = message.get("name") or message["role"].capitalize()
    return Turn(f"{step}:{number}", speaker, text, timestamp) if text else None


def _adapter_folders(adapters: str | PathLike[str] | Mapping[str, str | PathLike[str]] | None) -> dict[str, Path]:
    """Adapter name -> folder, after checking that together they make sense."""
    if adapters is None:
        return {}
    if isinstance(adapters, Mapping):
        folders = {name: Path(folder) for name, folder in adapters.items()}
        if unknown := sorted(set(folders) - set(ADAPTERS)):
            raise ValueError(f"adapter {unknown[0]!r}: expected names out of {', '.join(ADAPTERS)}")
    else:
        folders = _found_in(Path(adapters))
    if ("extract" in folders) != ("update" in folders) or {"manager", "extract"} <= set(folders):
        raise ValueError(
            f"adapters {', '.join(folders)}: expected extract and update together, or manager, or none of the three"
        )
    return folders


def _found_in(folder: Path) -> dict[str, Path]:
    """The adapters in a folder, or the one that it is."""
    role = (read_record(folder) or {}).get("role")
    if role in (*ADAPTERS, "answerer"):
        return {"answer" if role == "answerer" else role: folder}
    found = {name: folder / name for name in ADAPTERS if (folder / name / "adapter_config.json").is_file()}
    if not found:
        raise ValueError(
            f"no adapters in {folder}: expected sub-folders out of {', '.join(ADAPTERS)}; a single adapter that does "
            f"not say what it was trained as needs its name with it, such as manager={folder}"
        )
    return found


def _load(backbone: str | Backbone | None, folders: Mapping[str, Path]) -> Backbone | None:
    """The model with its adapters; None where nothing asks for one."""
    if backbone is None and not folders:
        return None
    from agents.backbone import load_adapter, load_backbone
    from agents.memlora import adapter_name

    loaded = load_backbone(backbone or "smollm2") if backbone is None or isinstance(backbone, str) else backbone
    for name, folder in folders.items():
        load_adapter(loaded, folder, adapter_name(name))
    return loaded


def _make_policy(
    backbone: Backbone | None, folders: Mapping[str, Path], codec: str | None, style: str | None
) -> Policy:
    if backbone is None or not {"manager", "extract"} & set(folders):
        return Recency()
    from agents.manager import MemoryManager
    from agents.memlora import MemLoRA, adapter_name

    if "extract" in folders:
        return MemLoRA(backbone)
    return MemoryManager(backbone, adapter=adapter_name("manager"), codec=codec, style=style)


def _shown_in_training(folders: Mapping[str, Path], names: Sequence[str]) -> dict[str, Any]:
    """Settings of the environments that these adapters were trained in; where they differ, of the last one."""
    view: dict[str, Any] = {}
    for name in names:
        view |= (read_record(folders[name]) or {}).get("env", {})
    return view


def _make_reader(
    loaded: Backbone | None, folders: Mapping[str, Path], named: str | Backbone | None, context_tokens: int | None
) -> str | Reader:
    """An Answer Agent if there is one, or a model somebody chose; an untrained default answers worse than no model."""
    if loaded is None or ("answer" not in folders and named is None):
        return "extractive"
    from agents.answerer import AnswerAgent
    from agents.memlora import adapter_name

    adapter = adapter_name("answer") if "answer" in folders else None
    return AnswerAgent(loaded, adapter, window=context_tokens or EnvConfig().context_tokens)
