"""Episode number ``index`` of a seed and split, the same on every machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random
from typing import Any

from memgym.tasks.episode import Episode, GoldMemory
from memgym.tasks.procedural.config import SPLITS, DialogueConfig
from memgym.tasks.procedural.facts import Fact
from memgym.tasks.procedural.questions import write_questions
from memgym.tasks.procedural.story import Story, tell_story

SOURCE = "procedural"
VERSION = 1  # part of every random stream: raise it whenever the same seed gives another episode
ATTEMPTS = 12  # draws of an item for an exam of full length
CATEGORY_ATTEMPTS = 3  # of them, those that also wait for every category


@dataclass(frozen=True, slots=True)
class Dialogue:
    """An episode and the facts it was made from."""

    episode: Episode
    facts: tuple[Fact, ...]  # in the order told; fact i is gold memory i
    slots: tuple[tuple[str, str], ...]  # (subject name, attribute key) that each question asks for


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

    @property
    def version(self) -> str:
        """Name and number; it changes whenever the same arguments give another episode."""
        return f"{SOURCE}-{VERSION}"

    @property
    def knobs(self) -> dict[str, Any]:
        """All settings, defaults filled in."""
        return asdict(self.config)

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
        best, most = None, (0, 0)
        for attempt in range(ATTEMPTS):
            dialogue = self._draw(Random(f"{SOURCE}:{VERSION}:{split}:{seed}:{index}:{attempt}"), name, split)
            asked = dialogue.episode.questions
            score = (len(asked), len({question.category for question in asked}))
            if score > most:
                best, most = dialogue, score
            if self._suffices(most, attempt):
                break
        if best is None:
            raise ValueError(
                f"{name}: these knobs leave nothing to ask; give more chunks or turns, more categories or asked_topics"
            )
        return best

    def _suffices(self, score: tuple[int, int], attempt: int) -> bool:
        """Whether enough questions, in enough categories, are found. Small episodes may lack some; a few draws help."""
        questions, categories = score
        every_category = min(len(self.config.categories), self.config.questions)
        return questions == self.config.questions and (categories >= every_category or attempt >= CATEGORY_ATTEMPTS)

    def _draw(self, rng: Random, name: str, split: str) -> Dialogue:
        story = tell_story(rng, self.config, split)
        sheet = write_questions(rng, story)
        episode = Episode(
            id=name,
            source=SOURCE,
            split=split,
            chunks=tuple(story.chunks),
            questions=tuple(sheet.questions),
            gold_memories=_gold_memories(story),
        )
        return Dialogue(episode, tuple(story.facts), tuple(sheet.slots))


def _gold_memories(story: Story) -> tuple[GoldMemory, ...]:
    return tuple(GoldMemory(fact.text, (fact.turn_id,), fact.told_on, fact.replaces) for fact in story.facts)
