"""Where slot values come from: listed or composed, and cut into three parts that the splits never share."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from memgym.tasks.procedural import words_leisure as leisure
from memgym.tasks.procedural import words_names as names
from memgym.tasks.procedural import words_values as words
from memgym.tasks.procedural.config import SPLITS
from memgym.tasks.procedural.grammar import pick

# Item n of a pool belongs to the split with n modulo 5 among its classes: 60 % train, 20 % validation, 20 % test.
CLASSES: dict[str, tuple[int, ...]] = dict(zip(SPLITS, ((0, 1, 2), (3,), (4,)), strict=True))


@dataclass(frozen=True, slots=True)
class Listed:
    """Values given one by one."""

    items: tuple[str, ...]
    shared: bool = False  # True for small closed sets (colours): every split uses all of them

    def draw(self, rng: Random, split: str) -> str:
        """A value of this split."""
        if self.shared:
            return pick(rng, self.items)
        start = pick(rng, CLASSES[split])
        return self.items[start + 5 * int(rng.random() * ((len(self.items) - start + 4) // 5))]


@dataclass(frozen=True, slots=True)
class Composed:
    """Values made of a head and a tail; a pair belongs to the split of the sum of its two positions."""

    heads: tuple[str, ...]
    tails: tuple[str, ...]
    joint: str = " "

    def draw(self, rng: Random, split: str) -> str:
        """A value of this split."""
        head = int(rng.random() * len(self.heads))
        start = (pick(rng, CLASSES[split]) - head) % 5
        tail = start + 5 * int(rng.random() * ((len(self.tails) - start + 4) // 5))
        return self.heads[head] + self.joint + self.tails[tail]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A whole number in front of composed words, such as a house number."""

    words: Composed
    most: int

    def draw(self, rng: Random, split: str) -> str:
        """A value of this split."""
        return f"{1 + int(rng.random() * self.most)} {self.words.draw(rng, split)}"


Pool = Listed | Composed | Numbered


def _clock(first_hour: int, last_hour: int) -> Listed:
    hours = range(first_hour, last_hour + 1)
    return Listed(tuple(f"{hour}:{minute:02d}" for hour in hours for minute in range(0, 60, 5)), shared=True)


def _shared(items: tuple[str, ...]) -> Listed:
    return Listed(items, shared=True)


POOLS: dict[str, Pool] = {
    "female": Listed(names.FEMALE),
    "male": Listed(names.MALE),
    "pet": Listed(names.PETS),
    "doctor": Listed(tuple(f"Dr. {name}" for name in names.SURNAMES)),
    "job": Listed(words.JOBS),
    "employer": Composed(words.EMPLOYER_HEADS, words.EMPLOYER_TAILS),
    "town": Composed(words.TOWN_HEADS, words.TOWN_TAILS, joint=""),
    "street": Numbered(Composed(words.STREET_HEADS, words.STREET_TAILS), most=99),
    "home": _shared(words.HOMES),
    "colour": _shared(words.COLOURS),
    "appliance": _shared(words.APPLIANCES),
    "subject": Listed(words.SUBJECTS),
    "birthday": _shared(tuple(f"{day} {month}" for month in words.MONTHS for day in range(1, 29))),
    "dog": _shared(words.DOGS),
    "cat": _shared(words.CATS),
    "toy": Composed(words.TOY_HEADS, words.TOY_TAILS),
    "spot": _shared(words.SPOTS),
    "fear": _shared(words.FEARS),
    "pet_ailment": _shared(words.AILMENTS_PET),
    "dish": Composed(words.DISH_HEADS, words.DISH_TAILS),
    "allergen": _shared(words.ALLERGENS),
    "dislike": _shared(words.DISLIKES),
    "drink": _shared(words.DRINKS),
    "restaurant": Composed(words.RESTAURANT_HEADS, words.RESTAURANT_TAILS),
    "early": _clock(5, 10),
    "late": _clock(8, 11),
    "hobby": Listed(leisure.HOBBIES),
    "instrument": _shared(leisure.INSTRUMENTS),
    "book": Composed(leisure.BOOK_HEADS, leisure.BOOK_TAILS),
    "band": Composed(leisure.BAND_HEADS, leisure.BAND_TAILS),
    "club": Composed(leisure.CLUB_HEADS, leisure.CLUB_TAILS),
    "country": Listed(leisure.COUNTRIES),
    "city": Listed(leisure.CITIES),
    "vehicle": _shared(leisure.VEHICLES),
    "trail": Composed(leisure.TRAIL_HEADS, leisure.TRAIL_TAILS),
    "exercise": _shared(leisure.EXERCISES),
    "condition": _shared(leisure.CONDITIONS),
    "body_part": _shared(leisure.BODY_PARTS),
    "check": _shared(leisure.CHECKS),
    "supplement": _shared(leisure.SUPPLEMENTS),
    "car": Composed(leisure.CAR_MAKES, leisure.CAR_BODIES),
    "item": Composed(leisure.ITEM_HEADS, leisure.ITEM_TAILS),
    "losable": _shared(leisure.LOSABLES),
    "collectible": _shared(leisure.COLLECTIBLES),
    "charm": _shared(leisure.CHARMS),
    "language": _shared(leisure.LANGUAGES),
    "goal": _shared(leisure.GOALS),
    "course": _shared(leisure.COURSES),
    "exam": _shared(leisure.EXAMS),
    "party": _shared(leisure.PARTIES),
    "occasion": _shared(leisure.FAMILY_OCCASIONS),
}
