"""Procedural dialogues: the grammar, its variety, and text that reads like text."""

import math
import re
from collections import Counter
from random import Random

import pytest

from memgym.tasks.procedural import TOPICS, DialogueGenerator
from memgym.tasks.procedural.catalog import ATTRIBUTES, RELATIONS, SLOTS
from memgym.tasks.procedural.grammar import Node, compile_pattern, expand, pick, shuffled
from memgym.tasks.procedural.subjects import third_person, with_article


@pytest.fixture(scope="module", params=["full", "short"])
def sample(request):
    """About 20,000 turns in one of the two styles."""
    generator = DialogueGenerator(verbosity=request.param)
    return request.param, [generator.dialogue(0, index) for index in range(420)]


def count_forms(pattern: str) -> int:
    """Number of ways to expand a pattern."""

    def count(node: Node) -> int:
        return math.prod(sum(map(count, part)) for part in node if not isinstance(part, str))

    return count(compile_pattern(pattern))


def masked_turns(dialogues):
    """Turn texts with every name, value and number blanked out."""
    for dialogue in dialogues:
        words = {turn.speaker for turn in dialogue.episode.turns} | {f.subject.name for f in dialogue.facts}
        words |= {fact.value for fact in dialogue.facts}
        blank = re.compile("|".join(re.escape(word) for word in sorted(words, key=lambda word: (-len(word), word))))
        for turn in dialogue.episode.turns:
            yield re.sub(r"\d+", "#", blank.sub("_", turn.text))


def test_no_surface_form_can_be_memorised(sample):
    style, dialogues = sample
    forms = Counter(masked_turns(dialogues))
    total = sum(forms.values())
    assert total > 20_000
    assert len(forms) > (15_000 if style == "full" else 8_000)
    assert forms.most_common(1)[0][1] / total < (0.001 if style == "full" else 0.005)


def test_question_forms_vary(sample):
    _, dialogues = sample
    forms = set()
    for dialogue in dialogues:
        names = "|".join(re.escape(turn.speaker) for turn in dialogue.episode.turns)
        forms |= {re.sub(names, "_", question.text) for question in dialogue.episode.questions}
    assert len(forms) > 2_000


def test_every_topic_and_every_attribute_is_told(sample):
    _, dialogues = sample
    told = Counter(fact.attribute.key for dialogue in dialogues for fact in dialogue.facts)
    assert set(told) == {attribute.key for attribute in ATTRIBUTES}
    assert max(told.values()) / sum(told.values()) < 0.05


def test_turns_are_clean_text(sample):
    _, dialogues = sample
    for dialogue in dialogues:
        for turn in dialogue.episode.turns:
            assert not re.search(r"[{}\[\]|]|  | [.,!?;:]|[.,]{2}|\b(a a|the the|a an)\b", turn.text), turn.text
            assert turn.text[0].isupper() and turn.text[-1] in ".!?", turn.text
            assert not re.search(r"[.!?] [a-z]", turn.text.replace("Dr. ", "")), turn.text


def test_questions_and_memories_are_clean_text(sample):
    _, dialogues = sample
    for dialogue in dialogues:
        texts = [q.text for q in dialogue.episode.questions] + [m.text for m in dialogue.episode.gold_memories]
        for text in texts:
            assert not re.search(r"[{}\[\]|]|  | [.,!?;:]|\b(I|my|me|I'm)\b", text.replace("Dr. ", "")), text


def test_every_attribute_has_dozens_of_forms_and_all_that_its_kind_needs():
    for attribute in ATTRIBUTES:
        assert sum(map(count_forms, set(attribute.tell))) >= 25, attribute.key
        assert sum(map(count_forms, set(attribute.ask))) >= 2, attribute.key
        assert bool(attribute.ask_when) == (attribute.kind == "event")
        assert bool(attribute.before) == bool(attribute.change)


def test_attribute_keys_are_unique_and_every_topic_offers_something():
    assert len({attribute.key for attribute in ATTRIBUTES}) == len(ATTRIBUTES)
    for topic in TOPICS:
        assert SLOTS[topic, "speaker"] or RELATIONS[topic]


def test_brackets_choose_nest_and_may_be_empty():
    pattern = "[I|we] like [red|[dark|light] blue] tea[| a lot]"
    forms = {expand(Random(str(seed)), pattern) for seed in range(400)}
    assert count_forms(pattern) == len(forms) == 12
    assert "we like dark blue tea a lot" in forms and "I like red tea" in forms


def test_text_without_brackets_is_itself():
    assert expand(Random("0"), "{I} like tea; plain | bars stay outside brackets") == (
        "{I} like tea; plain | bars stay outside brackets"
    )


@pytest.mark.parametrize("pattern", ["[a|b", "a]b", "[a|[b]"])
def test_unbalanced_brackets_are_refused(pattern):
    with pytest.raises(ValueError, match="unbalanced"):
        compile_pattern(pattern)


def test_draws_reach_every_item_and_shuffling_keeps_them():
    rng = Random("draws")
    assert {pick(rng, "abc") for _ in range(100)} == {"a", "b", "c"}
    items = list(range(30))
    assert sorted(shuffled(rng, items)) == items != shuffled(rng, items)


def test_third_person_agrees_with_the_gender():
    words = third_person("Lars", "male")
    assert "{I} say{s} {my} dog likes {me} and {i} {have} proof, {self}".format_map(words) == (
        "Lars says his dog likes him and he has proof, himself"
    )
    assert third_person("Mara's sister", "female")["My"] == "Mara's sister's"


@pytest.mark.parametrize(
    ("article", "value", "expected"),
    [
        ("a", "optician", "an optician"),
        ("a", "welder", "a welder"),
        ("a", "unicycle", "a unicycle"),
        ("a", "one-eyed duck", "a one-eyed duck"),
        ("the", "Golden Spoon", "the Golden Spoon"),
        ("", "Kelbrook", "Kelbrook"),
    ],
)
def test_articles_fit_their_word(article, value, expected):
    assert with_article(article, value) == expected
