import pytest

from memgym.memory import Operation
from memgym.memory.codecs import MemoryR1Codec

NOOP = Operation("noop")


def reasons(operations):
    assert {operation.kind for operation in operations} == {"invalid"}
    return [operation.text for operation in operations]


MEMORY_R1 = [
    Operation("insert", "semantic", 'Ann likes "tea"\nand milk.'),
    Operation("insert", "semantic", "Ann moved.", timestamp="2024-05-08T13:56"),
    Operation("update", "semantic", "Ann likes tea.", 0),
    Operation("delete", "semantic", entry_id=12),
]


def test_memory_r1_reads_what_it_writes():
    codec = MemoryR1Codec()
    assert codec.parse(codec.render(MEMORY_R1)) == MEMORY_R1
    assert codec.render(MEMORY_R1[2:]) == (
        '{"memory": [{"id": 0, "event": "UPDATE", "text": "Ann likes tea."}, {"id": 12, "event": "DELETE"}]}'
    )


def test_memory_r1_reads_a_reply_in_the_style_of_the_paper():
    text = """Here is the updated memory:
```json
{
    "memory" : [
        {"id" : "0", "text" : "Ann is a nurse", "event" : "NONE"},
        {"id" : "1", "text" : "Ann likes tea and milk", "event" : "UPDATE", "old_memory" : "Ann likes tea"},
        {"id" : "2", "text" : "Ann has a dog", "event" : "DELETE"},
        {"id" : "3", "text" : "Ann moved to Oslo", "event" : "ADD"},
    ]
}
```
I kept the first one."""
    assert MemoryR1Codec("episodic").parse(text) == [
        Operation("update", "episodic", "Ann likes tea and milk", 1),
        Operation("delete", "episodic", entry_id=2),
        Operation("insert", "episodic", "Ann moved to Oslo"),
    ]


@pytest.mark.parametrize("events", ['[{"id": 0, "event": "NONE"}]', '[{"event": "noop"}, {"event": "None"}]', "[]"])
def test_memory_r1_reads_nothing_to_do(events):
    assert MemoryR1Codec().parse(f'{{"memory": {events}}}') == [NOOP]


@pytest.mark.parametrize(
    "text",
    ["", "nothing", "{}", '{"memories": []}', "[1] [2, {}]", '[{"text": "a"}]', '{"memory": 3}', '{"memory": "'],
)
def test_memory_r1_needs_the_list_memory(text):
    assert reasons(MemoryR1Codec().parse(text)) == ['no JSON object with a list "memory" found']


ADD_A, ADD_B = Operation("insert", "semantic", "a"), Operation("insert", "semantic", "b")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"event": "ADD", "text": "a"}, {"event": "NONE"}]', [ADD_A]),
        ('```json\n[\n  {"event": "ADD", "text": "a"},\n  {"event": "ADD", "text": "b"}\n]\n```', [ADD_A, ADD_B]),
        ('{"event": "ADD", "text": "a"}', [ADD_A]),
        ('{"event": "ADD", "text": "a"}\n{"event": "ADD", "text": "b"}', [ADD_A, ADD_B]),
        ('{"memory": {"event": "ADD", "text": "a"}}', [ADD_A]),
        ('Of [1] and [2]: {"event": "ADD", "text": "a"}', [ADD_A]),
        ("[]", [NOOP]),
        ("```json\n[]\n```", [NOOP]),
        ('{"event": "NONE"}', [NOOP]),
    ],
)
def test_events_without_the_object_around_them_are_read(text, expected):
    assert MemoryR1Codec().parse(text) == expected


def test_the_object_with_the_list_goes_before_drafts():
    draft = 'First I thought of [{"event": "ADD", "text": "b"}], but: {"memory": [{"event": "ADD", "text": "a"}]}'
    assert MemoryR1Codec().parse(draft) == [ADD_A]


@pytest.mark.parametrize("opening", ['{"memory": [', "["])
@pytest.mark.parametrize("rest", [', {"event": "ADD", "te', ', {"event": "ADD", "text": "and then', ', {"id": "'])
def test_of_a_reply_that_was_cut_off_the_whole_events_are_kept(opening, rest):
    first, second = MemoryR1Codec().parse(opening + '{"event": "ADD", "text": "a"}' + rest)
    assert first == ADD_A
    assert reasons([second]) == ["malformed JSON in an event"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ('{"event": "MERGE", "text": "a"}', "unknown event 'MERGE'"),
        ('{"text": "a"}', "unknown event ''"),
        ('{"event": ["ADD"]}', "event must be a string"),
        ('{"event": "ADD", "text": {}}', "text must be a string"),
        ('{"event": "DELETE", "id": "x"}', "id must be the number of an entry, not 'x'"),
        ('"ADD"', "no JSON object"),
    ],
)
def test_memory_r1_keeps_the_good_events_beside_a_bad_one(event, reason):
    bad, good = MemoryR1Codec().parse(f'{{"memory": [{event}, {{"event": "add", "text": "b"}}]}}')
    assert reason in reasons([bad])[0]
    assert good == Operation("insert", "semantic", "b")


@pytest.mark.parametrize(
    "operation",
    [Operation("insert", "episodic", "a"), Operation("update", "core", "a"), Operation("search", "semantic", "a")],
)
def test_memory_r1_writes_its_own_store_only(operation):
    with pytest.raises(ValueError, match="writes insert, update and delete of semantic"):
        MemoryR1Codec().render([operation])


def test_memory_r1_has_a_store_with_entries():
    with pytest.raises(ValueError, match="expected one or more of episodic, semantic"):
        MemoryR1Codec("core")
