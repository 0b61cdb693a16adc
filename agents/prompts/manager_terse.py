"""The Memory Manager's short prompt, for a small model that learns the rest from examples and rewards."""

from __future__ import annotations

from collections.abc import Sequence

from agents.prompts.chat import spoken_date
from memgym.envs.spaces import Observation
from memgym.memory.codecs import Codec
from memgym.memory.operations import STORES

TASK = "Keep in memory what may be asked later."

# How to write operations, by codec and then by store; "" is for what needs no store or any.
FORMATS: dict[str, dict[str, str]] = {
    "lines": {"core": "= summary", "semantic": "+ fact", "episodic": "@ event", "": "~id new text, -id, or ."},
    "mem_alpha": {"": "Reply with calls of new_memory_insert, memory_update, memory_delete, or done."},
    "memory_r1": {"": 'Reply {"memory": [{"id", "text", "event": ADD, UPDATE, DELETE or NONE}]}.'},
}
SEARCH = {"lines": "? words", "mem_alpha": "Or call search_memory."}


def system_text(codec: Codec, stores: Sequence[str], *, search: bool) -> str:
    """The part that is the same for every observation; a codec without a short form here explains itself."""
    if codec.name not in FORMATS or (search and codec.name not in SEARCH):
        return f"{TASK}\n{codec.instructions(stores, search=search)}"
    forms = [form for store, form in FORMATS[codec.name].items() if store in stores]
    if search:
        forms.append(SEARCH[codec.name])
    return " ".join([TASK, ", ".join([*forms, FORMATS[codec.name][""]])])


def user_text(observation: Observation) -> str:
    """The memory as shown, the room left, news from the last step, and the chunk; nothing that is empty."""
    lines = [observation["core"]] if observation["core"] else []
    lines += [f"{entry['id']} {entry['text']}" for entry in observation["entries"]]
    lines += [*observation["results"], *observation.get("questions", ())]
    if room := _room(observation):
        lines.append(f"Room: {room}")
    if observation["timestamp"]:
        lines.append(spoken_date(observation["timestamp"]))
    return "\n".join([*lines, observation["chunk"]])


def _room(observation: Observation) -> str:
    """The limit on all stores if there is one, else those of single stores but the core's, which is rarely reached."""
    *stores, total = (int(tokens) for tokens in observation["budget_left"])
    if total >= 0:
        return str(total)
    limited = zip(STORES, stores, strict=True)
    return ", ".join(f"{name} {tokens}" for name, tokens in limited if tokens >= 0 and name != "core")
