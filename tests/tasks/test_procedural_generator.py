"""Procedural dialogues: the same item everywhere, sound episodes, splits that share nobody."""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import asdict
from datetime import date
from itertools import pairwise

import pytest

from memgym.tasks.procedural import SPLITS, DialogueGenerator, Fact
from memgym.tasks.procedural.pools import CLASSES, POOLS, Composed, Listed

GOLDEN = "feb7f5c2e98a3284d53df8f56d02a9b67c410e215495e7f27bfc275526528e26"
DIGEST_SCRIPT = """
import hashlib, json
from dataclasses import asdict
from memgym.tasks.procedural import DialogueGenerator
episodes = [asdict(DialogueGenerator(verbosity=v).episode(5, 17, "validation")) for v in ("full", "short")]
print(hashlib.sha256(json.dumps(episodes, sort_keys=True).encode()).hexdigest())
"""


def digest(episode):
    return hashlib.sha256(json.dumps(asdict(episode), sort_keys=True).encode()).hexdigest()


@pytest.fixture(scope="module")
def dialogues():
    return [DialogueGenerator().dialogue(3, index) for index in range(60)]


def names_of(dialogue):
    """Speakers, and everybody introduced by name."""
    named = {fact.value for fact in dialogue.facts if fact.attribute.kind == "relation"}
    return named | {turn.speaker for turn in dialogue.episode.turns}


def test_one_episode_is_the_recorded_one():
    assert digest(DialogueGenerator().episode(0, 0, "train")) == GOLDEN


def test_processes_with_other_hash_seeds_draw_the_same_episodes():
    prints = {
        subprocess.run(
            [sys.executable, "-c", DIGEST_SCRIPT],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in ("0", "4242")
    }
    assert len(prints) == 1


def test_an_item_does_not_depend_on_what_was_drawn_before():
    warmed = DialogueGenerator()
    for index in range(5):
        warmed.episode(0, index)
    assert warmed.episode(9, 3, "test") == DialogueGenerator().episode(9, 3, "test")


def test_seed_index_and_split_each_give_another_episode():
    generator = DialogueGenerator()
    items = [(0, 0, "train"), (1, 0, "train"), (0, 1, "train"), (0, 0, "validation"), (0, 0, "test"), (1, 10, "train")]
    assert len({digest(generator.episode(*item)) for item in [*items, (11, 0, "train")]}) == 7


def test_splits_share_no_persona_and_no_value_of_the_large_pools():
    generator = DialogueGenerator(chunks=4, verbosity="short")
    closed = {name for name, pool in POOLS.items() if isinstance(pool, Listed) and pool.shared}
    people = {split: set() for split in SPLITS}
    values = {split: set() for split in SPLITS}
    for split in SPLITS:
        for index in range(300):
            dialogue = generator.dialogue(0, index, split)
            people[split] |= names_of(dialogue)
            values[split] |= {f"{f.attribute.pool}:{f.value}" for f in dialogue.facts if f.attribute.pool not in closed}
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not people[one] & people[other]
        assert not values[one] & values[other]
    assert min(map(len, people.values())) > 80


def test_pools_hold_no_value_twice_and_are_cut_into_disjoint_splits():
    assert sorted(residue for classes in CLASSES.values() for residue in classes) == [0, 1, 2, 3, 4]
    for name, pool in POOLS.items():
        if isinstance(pool, Listed):
            assert len({item.lower() for item in pool.items}) == len(pool.items) >= 15, name
        elif isinstance(pool, Composed):
            whole = {f"{head}{pool.joint}{tail}".lower() for head in pool.heads for tail in pool.tails}
            assert len(whole) == len(pool.heads) * len(pool.tails) >= 200, name


def test_a_name_tells_women_men_and_pets_apart():
    kinds = [set(POOLS[name].items) for name in ("female", "male", "pet")]
    assert len(set.union(*kinds)) == sum(map(len, kinds))


def test_turns_are_numbered_dated_and_spoken_by_both(dialogues):
    for dialogue in dialogues:
        episode = dialogue.episode
        assert [turn.id for turn in episode.turns] == [f"D{c}:{t}" for c in range(1, 9) for t in range(1, 7)]
        days = [date.fromisoformat(chunk.timestamp[:10]) for chunk in episode.chunks]
        assert all(3 <= (later - earlier).days <= 21 for earlier, later in pairwise(days))
        for chunk in episode.chunks:
            assert len(chunk.timestamp) == len("2023-05-08T13:56")
            assert {turn.timestamp for turn in chunk.turns} == {chunk.timestamp}
            assert len({turn.speaker for turn in chunk.turns}) == 2


def test_ids_name_the_item_and_questions_are_numbered(dialogues):
    episode = dialogues[7].episode
    assert (episode.id, episode.source, episode.split) == ("procedural/train/3/7", "procedural", "train")
    assert [question.id for question in episode.questions] == [f"Q{n}" for n in range(1, 11)]


def test_every_fact_is_told_in_a_turn_of_its_own_with_its_value_verbatim(dialogues):
    for dialogue in dialogues:
        texts = {turn.id: turn.text for turn in dialogue.episode.turns}
        assert len({fact.turn_id for fact in dialogue.facts}) == len(dialogue.facts)
        for fact in dialogue.facts:
            if fact.change != "withdrawal":
                assert fact.value in texts[fact.turn_id]
            if fact.when is not None:
                assert fact.when.phrase.lower() in texts[fact.turn_id].lower()


def test_values_occur_once_in_an_episode(dialogues):
    for dialogue in dialogues:
        told = [fact.value.lower() for fact in dialogue.facts if fact.change != "withdrawal"]
        assert len(told) == len(set(told))


def test_speakers_talk_of_themselves_in_the_first_person_and_of_others_by_name(dialogues):
    for dialogue in dialogues:
        texts = {turn.id: turn for turn in dialogue.episode.turns}
        for fact in dialogue.facts:
            turn = texts[fact.turn_id]
            assert fact.told_by == turn.speaker
            if fact.subject.owner:
                assert fact.subject.owner == turn.speaker
                assert fact.subject.name in turn.text


def test_gold_memories_are_third_person_sentences_with_name_value_and_turn(dialogues):
    for dialogue in dialogues:
        episode = dialogue.episode
        assert len(episode.gold_memories) == len(dialogue.facts)
        for fact, memory in zip(dialogue.facts, episode.gold_memories, strict=True):
            assert memory.turn_ids == (fact.turn_id,)
            assert memory.timestamp == fact.told_on
            assert memory.supersedes == fact.replaces
            assert fact.subject.name in memory.text
            assert memory.text.endswith(".") and " I " not in f" {memory.text} "
            if fact.change != "withdrawal":
                assert fact.value in memory.text
            if fact.when is not None:
                assert fact.when.resolved in memory.text


def last_told(facts: tuple[Fact, ...]) -> dict[tuple[str, str], Fact]:
    return {fact.slot: fact for fact in facts if fact.attribute.kind == "state"}


def test_a_revision_ends_the_value_that_was_last_told_of_its_slot(dialogues):
    revisions = 0
    for dialogue in dialogues:
        for fact in dialogue.facts:
            if fact.change == "told":
                assert fact.replaces is None
                continue
            revisions += 1
            assert fact.replaces == last_told(dialogue.facts[: fact.index])[fact.slot].index
            old = dialogue.facts[fact.replaces]
            assert (old.subject, old.told_by) == (fact.subject, fact.told_by)
            assert old.told_on < fact.told_on or fact.change != "update"
    assert revisions > 300


def test_a_split_that_does_not_exist_is_refused():
    with pytest.raises(ValueError, match=r"split='dev': expected one of train, validation, test"):
        DialogueGenerator().episode(0, 0, "dev")


def test_a_negative_index_is_refused():
    with pytest.raises(ValueError, match="index=-1: expected at least 0"):
        DialogueGenerator().episode(0, -1)
