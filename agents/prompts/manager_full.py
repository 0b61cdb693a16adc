"""The Memory Manager's long prompt: what belongs in each store, how to decide, how to reply."""

from __future__ import annotations

from collections.abc import Sequence

from memgym.envs.spaces import Observation
from memgym.memory.codecs import Codec
from memgym.memory.operations import STORES

ROLE = """\
You look after the memory of an assistant. A long stream reaches you in parts. Each part is shown to you once, and \
afterwards questions about the whole stream are answered from the memory alone, by someone who has not seen it."""

STORE_TEXTS = {
    "core": "- core: one paragraph, always in view: who or what the stream is about and what holds throughout. Writing \
it replaces it as a whole.",
    "episodic": "- episodic: what happened, one event per entry, with the day it happened.",
    "semantic": "- semantic: what is the case, one fact per entry: people, things, preferences, numbers, rules.",
}

GUIDANCE = """\
Keep what may be asked about later, in the words of the stream: names, days, places, amounts, plans, opinions. Every \
entry must make sense by itself: names instead of "she" or "it", a calendar date instead of "yesterday". If something \
has changed, rewrite the entry that is no longer true. Remove entries that are wrong or say the same as another. Do \
not write what the memory holds already. Space is limited: an operation that does not fit is refused, so keep \
entries short and make room first when there is little left. Small talk is not worth keeping.
You have one reply for this part. Put every operation into it."""


def system_text(codec: Codec, stores: Sequence[str], *, search: bool) -> str:
    """The part that is the same for every observation."""
    kept = "\n".join(STORE_TEXTS[store] for store in stores)
    return f"{ROLE}\n\nThe memory:\n{kept}\n\n{GUIDANCE}\n\n{codec.instructions(stores, search=search)}"


def user_text(observation: Observation) -> str:
    """The memory as shown, the room left, news from the last step, and the chunk."""
    index, count = (int(number) for number in observation["progress"])
    dated = f", {observation['timestamp']}" if observation["timestamp"] else ""
    sections = [
        f"Core memory:\n{observation['core'] or '(empty)'}",
        "Entries:\n" + ("\n".join(_entry_line(entry) for entry in observation["entries"]) or "(none)"),
        f"Tokens left: {_room(observation)}",
    ]
    if observation["results"]:
        sections.append("Your last operations:\n" + "\n".join(observation["results"]))
    if observation.get("questions"):
        sections.append("Questions to be answered:\n" + "\n".join(observation["questions"]))
    sections.append(f"Part {index + 1} of {count}{dated}:\n{observation['chunk']}")
    return "\n\n".join(sections)


def _entry_line(entry: Observation) -> str:
    dated = f" ({entry['timestamp']})" if entry["timestamp"] else ""
    return f"{entry['id']} {STORES[entry['store']]}{dated}: {entry['text']}"


def _room(observation: Observation) -> str:
    """E.g. "core 512, total 90"; stores without a limit are not mentioned."""
    left = zip((*STORES, "total"), observation["budget_left"], strict=True)
    return ", ".join(f"{name} {tokens}" for name, tokens in left if tokens >= 0) or "no limit"
