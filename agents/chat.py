"""Talk to a memory in the terminal.

    python -m agents.chat --bank mara.db
    python -m agents.chat --bank mara.db --adapter runs/memlora
    python -m agents.chat --bank mara.db --adapter manager=runs/grpo/adapter --adapter answer=runs/answerer/adapter

What you type is read and, as far as it is worth it, remembered; a line that ends with a question mark is answered from
the memory. ``/memory`` shows all of it, ``/quit`` (or Ctrl-D, or Ctrl-C) ends. The file is there again next time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from agents.assistant import Answer, MemoryAssistant
from memgym.memory.bank import MemoryBank
from memgym.memory.operations import Entry, OperationResult

SHOWN = 3  # entries printed under an answer
ENCODER = "agents.encoder:TextEncoder"
COMMANDS = {"/memory": "all that is remembered", "/quit": "the end"}


def main(argv: list[str] | None = None) -> None:
    """Run until the input ends."""
    arguments = parse_arguments(sys.argv[1:] if argv is None else argv)
    try:
        assistant = MemoryAssistant(
            arguments.bank,
            backbone=arguments.backbone,
            adapters=adapters_of(arguments.adapter),
            codec=arguments.codec,
            style=arguments.style,
            **settings_of(arguments),
        )
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    with assistant:
        print(f"{len(assistant.bank.entries())} entries in {arguments.bank}; end a line with ? to ask")
        try:
            converse(assistant, arguments.name)
        except (EOFError, KeyboardInterrupt):
            print()


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--bank", default="memory.db", help="file of the memory; made if it is not there")
    add("--adapter", action="append", default=[], metavar="[NAME=]FOLDER", help="one adapter, or a folder of several")
    add("--backbone", help="name, hub id or folder of the model; the embedded default where an adapter needs one")
    add("--encoder", metavar="NAME", help="text encoder to search with, beside words: minilm, a hub id or a folder")
    add("--name", default="User", help="who you are")
    add("--budget", type=int, help="most tokens the memory may hold; no limit when left out")
    add("--codec", help="of a manager; as it was trained when left out")
    add("--style", help="of a manager's prompts; as it was trained when left out")
    return parser.parse_args(argv)


def settings_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """Of the environment; an encoder only if one is named, as an adapter may have been trained with its own."""
    searching = {"encoder": f"{ENCODER}@{arguments.encoder}"} if arguments.encoder else {}
    return {"budget": arguments.budget, **searching}


def adapters_of(words: Sequence[str]) -> str | dict[str, str] | None:
    """What ``MemoryAssistant`` takes, of what ``--adapter`` was given.

    Raises:
        ValueError: A folder of several adapters beside other adapters.
    """
    if not words:
        return None
    if len(words) == 1 and "=" not in words[0]:
        return words[0]
    pairs = [word.partition("=") for word in words]
    if any(not separator for _, separator, _ in pairs):
        raise ValueError("--adapter: expected one folder, or NAME=FOLDER for each adapter")
    return {name: folder for name, _, folder in pairs}


def converse(assistant: MemoryAssistant, name: str) -> None:
    """Reply to one line after the other, up to ``/quit``.

    Raises:
        EOFError: The input has ended.
    """
    while (line := input("> ").strip()) != "/quit":
        print(reply(assistant, line, name))


def reply(assistant: MemoryAssistant, line: str, name: str) -> str:
    """What is printed for one line, which neither begins nor ends with a blank."""
    if line == "/memory":
        return describe_memory(assistant.bank)
    if line.startswith("/"):
        return "\n".join([f"  no such command: {line}", *(f"  {known}: {what}" for known, what in COMMANDS.items())])
    if line.endswith("?"):
        return describe_answer(assistant.answer(line))
    now = datetime.now().isoformat(timespec="minutes")
    return describe_changes(assistant.observe([{"role": "user", "name": name, "content": line, "timestamp": now}]))


def describe_memory(bank: MemoryBank) -> str:
    """Everything the memory holds."""
    core = [f"  core: {bank.core}"] if bank.core else []
    return "\n".join([*core, *map(_line, bank.entries())]) or "  (empty)"


def describe_answer(answer: Answer) -> str:
    """The answer, and the entries it was most likely read from."""
    return "\n".join([answer or "(no answer)", *map(_line, answer.entries[:SHOWN])])


def describe_changes(results: Sequence[OperationResult]) -> str:
    """What was remembered, rewritten or forgotten, and what failed."""
    return "\n".join(map(_change, results)) or "  (nothing to remember)"


def _change(result: OperationResult) -> str:
    if result.code == "duplicate":
        return f"  known already: {result.operation.text}"
    if not result.ok:
        return f"  failed: {result.reason}"
    if result.operation.kind == "delete":
        return f"  forgot: {result.before.text if result.before else ''}"
    verb = "rewrote" if result.before else "remembered"
    return f"  {verb}: {result.after.text if result.after else ''}"


def _line(entry: Entry) -> str:
    return f"  #{entry.id} {entry.timestamp[:10]} {entry.text}"


if __name__ == "__main__":
    main()
