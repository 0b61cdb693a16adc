"""All attributes, and the ones each topic offers to each kind of subject."""

from __future__ import annotations

from memgym.tasks.procedural.attributes import Attribute
from memgym.tasks.procedural.config import TOPICS
from memgym.tasks.procedural.topics_daily import FOOD, HEALTH, PETS
from memgym.tasks.procedural.topics_leisure import HOBBIES, TRAVEL
from memgym.tasks.procedural.topics_people import FAMILY, HOME, WORK
from memgym.tasks.procedural.topics_things import PLANS, POSSESSIONS

ATTRIBUTES: tuple[Attribute, ...] = WORK + HOME + FAMILY + PETS + FOOD + HOBBIES + TRAVEL + HEALTH + POSSESSIONS + PLANS
SUBJECT_KINDS = ("speaker", "person", "dog", "cat", "pet")

# (topic, subject kind) -> properties and events to tell of such a subject
SLOTS: dict[tuple[str, str], tuple[Attribute, ...]] = {
    (topic, kind): tuple(a for a in ATTRIBUTES if a.topic == topic and kind in a.who and a.kind != "relation")
    for topic in TOPICS
    for kind in SUBJECT_KINDS
}
# topic -> the people or pets that the topic brings in
RELATIONS: dict[str, tuple[Attribute, ...]] = {
    topic: tuple(a for a in ATTRIBUTES if a.topic == topic and a.kind == "relation") for topic in TOPICS
}
