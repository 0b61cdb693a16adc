"""Episode number ``index`` of a seed and split, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from memgym.tasks.episode import Episode, GoldMemory
from memgym.tasks.procedural.config import SPLITS, DialogueConfig
from memgym.tasks.procedural.facts import Fact
from memgym.tasks.procedural.questions import write_exam
from memgym.tasks.procedural.story import Story, tell_story

SOURCE = "procedural"
VERSION = 1  # part of every random stream: raise it whenever the same seed gives another episode
ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Dialogue:
    """An episode and the facts it was made from."""

    episode: Episode
    facts: tuple[Fact, ...]  # in the order told; fact i is gold memory i


class DialogueGenerator:
    """Two-person persona dialogues with an exam.

    The episode is a function of the knobs, the seed, the index and the split alone. Splits share no persona name and no
    value of the large pools.
    """

    def __init__(self, **knobs: object) -> None:
        """Take the fields of ``DialogueConfig``.

        Raises:
            ValueError: a knob is out of range.
            TypeError: there is no such knob.
        """
        self.config = DialogueConfig(**knobs)  # type: ignore[arg-type]

    def episode(self, seed: int, index: int, split: str = "train") -> Episode:
        """Episode ``index`` (>= 0) of ``seed``.

        Raises:
            ValueError: unknown split, negative index, or knobs so tight that no question can be asked.
        """
        return self.dialogue(seed, index, split).episode

    def dialogue(self, seed: int, index: int, split: str = "train") -> Dialogue:
        """The same with its facts, for checks and for metrics that need slots and values."""
        if split not in SPLITS:
            raise ValueError(f"split={split!r}: expected one of {', '.join(SPLITS)}")
        if index < 0:
            raise ValueError(f"index={index}: expected at least 0")
        name = f"{SOURCE}/{split}/{seed}/{index}"
        best: Dialogue | None = None
        # Small episodes may lack a category; another draw of the same item usually has it.
        for attempt in range(ATTEMPTS):
            dialogue = self._draw(Random(f"{SOURCE}:{VERSION}:{split}:{seed}:{index}:{attempt}"), name, split)
            if self._complete(dialogue.episode):
                return dialogue
            if best is None or len(dialogue.episode.questions) > len(best.episode.questions):
                best = dialogue
        if best is None or not best.episode.questions:
            raise ValueError(
                f"{name}: these knobs leave nothing to ask; give more chunks or turns, more categories or asked_topics"
            )
        return best

    def _complete(self, episode: Episode) -> bool:
        """Whether the exam has its full length and as many categories as fit in it."""
        wanted = min(len(self.config.categories), self.config.questions)
        categories = {question.category for question in episode.questions}
        return len(episode.questions) == self.config.questions and len(categories) >= wanted

    def _draw(self, rng: Random, name: str, split: str) -> Dialogue:
        story = tell_story(rng, self.config, split)
        episode = Episode(
            id=name,
            source=SOURCE,
            split=split,
            chunks=tuple(story.chunks),
            questions=write_exam(rng, story),
            gold_memories=_gold_memories(story),
        )
        return Dialogue(episode, tuple(story.facts))


def _gold_memories(story: Story) -> tuple[GoldMemory, ...]:
    return tuple(GoldMemory(fact.text, (fact.turn_id,), fact.told_on, fact.replaces) for fact in story.facts)
