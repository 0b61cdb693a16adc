"""Text of any kind has a space, and a programmer's wrong action one clear line."""

import numpy as np
import pytest

from memgym.envs.spaces import ACTION_KINDS, Unicode, action_space, operations_from_action, unbatch
from memgym.memory.operations import STORES, Operation

FIELDS = {"kind": 0, "store": 2, "text": "tea", "entry_id": 7, "timestamp": "", "k": 5, "quote": 0}


def test_unicode_holds_any_characters_up_to_its_length():
    space = Unicode(5)
    assert all(text in space for text in ("", "a b", "日本語", "\n\0\u200b", "\ud83d"))
    assert all(other not in space for other in ("123456", 5, None, b"abc", ["a"]))


def test_unicode_samples_are_members_and_repeat_with_the_seed():
    space = Unicode(3)
    space.seed(4)
    first = [space.sample() for _ in range(50)]
    space.seed(4)
    assert first == [space.sample() for _ in range(50)]
    assert all(text in space for text in first)
    assert len(set(first)) > 10


def test_unicode_compares_and_prints_by_its_length():
    assert Unicode(5) == Unicode(5) != Unicode(6)
    assert Unicode(5) != 5
    assert repr(Unicode(5)) == "Unicode(5)"


def test_unicode_goes_through_json_as_it_is():
    space = Unicode()
    assert space.from_jsonable(space.to_jsonable(["a", "é"])) == ["a", "é"]


def test_unicode_needs_room_for_a_character():
    with pytest.raises(ValueError, match="max_length=0: expected at least 1"):
        Unicode(0)


def test_the_space_cannot_say_invalid():
    assert ACTION_KINDS == ("insert", "update", "delete", "search", "noop")


def test_every_sampled_action_is_readable():
    space = action_space()
    space.seed(0)
    operations = [operation for _ in range(200) for operation in operations_from_action(space.sample())]
    assert {operation.kind for operation in operations} == set(ACTION_KINDS)
    assert {operation.store for operation in operations} == set(STORES)


def test_a_dict_becomes_the_operation_it_describes():
    assert operations_from_action([FIELDS]) == [Operation("insert", "semantic", "tea", 7)]
    assert operations_from_action([{**FIELDS, "kind": np.int64(3), "k": np.int64(9)}])[0].k == 9
    assert operations_from_action([{**FIELDS, "quote": 2}])[0].quote == 2


def test_operations_pass_through_and_any_iterable_will_do():
    written = (Operation("noop"), Operation("search", text="tea"))
    assert operations_from_action(iter(written)) == list(written)
    assert operations_from_action(()) == []


@pytest.mark.parametrize(
    ("action", "message"),
    [
        ("+ tea", "sequence of operations, got str: .* TextActionWrapper"),
        (None, "sequence of operations, got NoneType"),
        (FIELDS, "sequence of operations, got dict"),
        (Operation("noop"), "sequence of operations, got Operation: put a single operation into a list"),
        (["+ tea"], "an item of type str, expected memgym.Operation or a dict with kind, store"),
        ([5], "an item of type int"),
        ([{"kind": 0}], "not in the action space: KeyError"),
        ([{**FIELDS, "kind": 5}], "not in the action space: IndexError"),
        ([{**FIELDS, "kind": -1}], "index -1: expected 0 to 4"),
        ([{**FIELDS, "store": -3}], "index -3: expected 0 to 2"),
        ([{**FIELDS, "kind": None}], "not in the action space: TypeError"),
        ([{**FIELDS, "entry_id": 1.5}], "not in the action space: TypeError"),
        ([{**FIELDS, "text": 5}], "operation.text: expected a str, got int"),
        ([Operation("insert", "semantic", 5)], "operation.text: expected a str, got int"),
        ([Operation("insert", None, "tea")], "operation.store: expected a str, got NoneType"),
        ([Operation("delete", "semantic", entry_id="1")], "operation.entry_id: expected an int or None, got str"),
        ([Operation("noop"), Operation("search", text="tea", k=1.5)], "operation.k: expected an int, got float"),
        ([Operation("insert", "semantic", quote="3")], "operation.quote: expected an int, got str"),
    ],
)
def test_a_wrong_type_raises_one_clear_line(action, message):
    with pytest.raises(TypeError, match=message) as caught:
        operations_from_action(action)
    assert "\n" not in str(caught.value)


def test_unbatch_takes_one_observation_out_of_a_batch():
    batch = {"chunk": ("a", "b"), "progress": np.array([[0, 2], [1, 3]])}
    assert unbatch(batch, 1)["chunk"] == "b"
    assert unbatch(batch, 1)["progress"].tolist() == [1, 3]
