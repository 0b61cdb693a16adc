"""All environments on one page.

`import memgym` registers them; `gymnasium.make("memgym:memgym/Dialogue-v0")` imports memgym by itself.
"""

from __future__ import annotations

from gymnasium.envs.registration import register

NAMESPACE = "memgym"

# Procedural dated dialogues: endless, seeded, no data needed.
register(
    id="memgym/Dialogue-v0",
    entry_point="memgym.envs.dialogue:DialogueEnv",
    vector_entry_point="memgym.envs.dialogue:make_vector",
)

# LoCoMo-10: long conversations, from a local file (CC BY-NC 4.0).
register(
    id="memgym/LoCoMo-v0",
    entry_point="memgym.envs.locomo:LoCoMoEnv",
    vector_entry_point="memgym.envs.locomo:make_vector",
)

# Your own dialogues, from a JSON or JSONL file.
register(
    id="memgym/Custom-v0",
    entry_point="memgym.envs.custom:CustomEnv",
    vector_entry_point="memgym.envs.custom:make_vector",
)

# Memory-R1's two stages, from the dialogues of any of the above. One turn and a memory made beforehand:
register(
    id="memgym/MemoryR1Manager-v0",
    entry_point="memgym.envs.memory_r1_manager:MemoryR1ManagerEnv",
    vector_entry_point="memgym.envs.memory_r1_manager:make_vector",
)

# One question and the memories retrieved for it; the action is the answer.
register(
    id="memgym/MemoryR1Answer-v0",
    entry_point="memgym.envs.memory_r1_answer:MemoryR1AnswerEnv",
    vector_entry_point="memgym.envs.memory_r1_answer:make_vector",
)
