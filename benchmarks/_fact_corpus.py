"""Made-up facts about made-up people, and everyday prompts that have nothing to do with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from agents.engram.facts import Fact
from memgym.tasks.procedural import DialogueGenerator
from memgym.tasks.procedural.pools import POOLS
from memgym.tasks.procedural.words_names import FEMALE, MALE, SURNAMES


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ONSETS = _parts("b br ch d dr f g gl h j k kr l m n p pr r s sh st t tr v w z")
VOWELS = _parts("a e i o u ai ea ou")
CODAS = _parts("n r l s t m nd rk lt x v")

# Pool of the values, the text written, the same asked in other words.
KINDS = (
    ("dish", "The favourite dish of {name} is", "At a restaurant {name} always orders"),
    ("town", "The home town of {name} is", "As a child {name} lived in"),
    ("band", "The favourite band of {name} is", "In the car {name} only ever plays"),
    ("employer", "The employer of {name} is", "Every morning {name} goes to work at"),
)


@dataclass(frozen=True, slots=True)
class Claim:
    """One fact in three settings, all with the same continuation."""

    fact: Fact  # what is written
    in_context: Fact  # the same words, after a turn of small talk
    reworded: Fact  # other words, so other n-grams


def claims(count: int, *, names: str, seed: int) -> list[Claim]:
    """``count`` facts, each about somebody else.

    Args:
        count: How many.
        names: A key of ``NAMES``.
        seed: Of names and values; fact i is the same for every count.
    """
    draw, used = NAMES[names], set()
    talk = everyday_prompts(count, split="train", seed=seed)
    found = []
    for number in range(count):
        rng = Random(f"{seed}:{number}")
        name = draw(rng)
        while name in used:
            name = draw(rng)
        used.add(name)
        found.append(_claim(rng, name, talk[number]))
    return found


def _claim(rng: Random, name: str, talk: str) -> Claim:
    pool, text, reworded = KINDS[int(rng.random() * len(KINDS))]
    text, value = text.format(name=name), f" {POOLS[pool].draw(rng, 'train')}."
    return Claim(Fact(text, value), Fact(f"{talk}\n{text}", value), Fact(reworded.format(name=name), value))


def _composed(rng: Random) -> str:
    """A name of two syllables that nobody has, such as "Krainvost"."""
    return "".join(rng.choice(ONSETS) + rng.choice(VOWELS) + rng.choice(CODAS) for _ in range(2)).capitalize()


def _persona(rng: Random) -> str:
    """A given name and a surname, many of which share their last tokens."""
    return f"{rng.choice(FEMALE + MALE)} {rng.choice(SURNAMES)}"


NAMES: dict[str, Callable[[Random], str]] = {"composed": _composed, "personas": _persona}


def everyday_prompts(count: int, *, split: str, seed: int) -> list[str]:
    """Turns of generated dialogues, all different."""
    generator, index = DialogueGenerator(chunks=10), 0
    found: dict[str, None] = {}
    while len(found) < count:
        found |= dict.fromkeys(turn.text for turn in generator.episode(seed, index, split).turns)
        index += 1
    return list(found)[:count]
