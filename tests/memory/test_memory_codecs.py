import pytest

from memgym.memory import CODECS, STORES, MemoryBank, Operation, get_codec
from memgym.memory.codecs import MAX_CHARACTERS, MemoryR1Codec

NOOP = Operation("noop")


def reasons(operations):
    assert {operation.kind for operation in operations} == {"invalid"}
    return [operation.text for operation in operations]


def test_codecs_are_found_by_their_names():
    assert list(CODECS) == ["mem_alpha", "memory_r1", "lines"]
    assert all(get_codec(name).name == name for name in CODECS)
    with pytest.raises(ValueError, match="codec 'xml': expected one of mem_alpha, memory_r1, lines"):
        get_codec("xml")


@pytest.mark.parametrize(("codec", "nothing"), [("mem_alpha", "done"), ("memory_r1", '{"memory": []}'), ("lines", ".")])
def test_nothing_to_do_is_one_noop(codec, nothing):
    codec = get_codec(codec)
    assert codec.render([]) == codec.render([NOOP]) == codec.render([NOOP, NOOP]) == nothing
    assert codec.parse(nothing) == codec.parse(f" {nothing}\n") == [NOOP]


@pytest.mark.parametrize("codec", CODECS)
def test_a_noop_beside_other_operations_is_left_out(codec):
    codec = get_codec(codec)
    insert = Operation("insert", "semantic", "a")
    assert codec.parse(codec.render([NOOP, insert, NOOP])) == [insert]


@pytest.mark.parametrize("codec", CODECS)
def test_a_closed_thought_is_no_part_of_the_reply(codec):
    codec = get_codec(codec)
    insert = [Operation("insert", "semantic", "a")]
    assert codec.parse(f"<think>\nperhaps {codec.render(insert)}\nor not\n</think>\n\n{codec.render(insert)}") == insert


@pytest.mark.parametrize("codec", CODECS)
def test_a_thought_that_was_cut_off_holds_no_operations(codec):
    draft = get_codec(codec).render([Operation("delete", "semantic", entry_id=1), Operation("insert", "semantic", "a")])
    for reply in (f"<think>\n{draft}", f" \n<think>{draft}\n<think>", "<think>"):
        (reason,) = reasons(get_codec(codec).parse(reply))
        assert reason == "the reply ends within its <think> block: close it with </think> before the operations"


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "operation",
    [
        Operation("invalid", text="x"),
        Operation("merge", "semantic", "x"),
        Operation("insert", "core", "x"),
        Operation("insert", "", "x"),
        Operation("update", "facts", "x", 1),
        Operation("update", "semantic", "x"),
        Operation("delete", "semantic", entry_id=-1),
        Operation("search", "core", "x"),
        Operation("search", "semantic", "x", k=0),
        Operation("insert", "semantic", " "),
        Operation("insert", "semantic", "x", timestamp="yesterday"),
    ],
)
def test_an_incomplete_operation_is_not_written(codec, operation):
    with pytest.raises(ValueError, match=f"codec {codec} cannot write"):
        get_codec(codec).render([operation])


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize(
    "text",
    [
        "x" * 10_000_000,
        "[" * (MAX_CHARACTERS + 1),
        "{" * MAX_CHARACTERS,
        '{"a":' * 15_000,
        '{"memory":[' * 8_000,
        '{"name":"x","arguments":' * 4_000,
        "<tool_call>" * 8_000,
        '["' + "\\" * 90_000,
        "'" * 90_000,
        "- " * 45_000,
        "~" + " " * 90_000 + "x",
        '{"memory": [' + "1" * 5000 + "]}",
    ],
)
def test_hostile_replies_are_invalid(codec, text):
    assert reasons(get_codec(codec).parse(text))


@pytest.mark.parametrize("codec", CODECS)
def test_a_reply_is_read_up_to_a_length_or_not_at_all(codec):
    codec = get_codec(codec)
    insert = [Operation("insert", "semantic", "a")]
    rendered = codec.render(insert)
    assert codec.parse(rendered + " " * (MAX_CHARACTERS - len(rendered))) == insert
    (reason,) = reasons(codec.parse(rendered + " " * MAX_CHARACTERS))
    assert f"more than the {MAX_CHARACTERS} that are read" in reason


@pytest.mark.parametrize("codec", ["mem_alpha", "lines"])
@pytest.mark.parametrize("stores", [("semantic",), ("episodic",), ("core",), ("core", "semantic"), STORES])
@pytest.mark.parametrize("search", [True, False])
def test_instructions_name_what_is_enabled_and_end_in_a_readable_example(codec, stores, search):
    codec = get_codec(codec)
    text = codec.instructions(stores, search=search)
    operations = codec.parse(text.partition("Example:\n")[2])
    assert operations
    assert {operation.store for operation in operations if operation.store} <= set(stores)
    bank = MemoryBank()
    for number in range(4):
        bank.insert("semantic", f"fact {number}")
    assert all(bank.apply(operation).ok for operation in operations)
    if codec.name == "mem_alpha":
        assert [f"{store}_memory" in text for store in STORES] == [store in stores for store in STORES]
        assert ("search_memory" in text) == (search and stores != ("core",))
    else:
        signs = [line.split()[0] for line in text.partition("Example:\n")[0].splitlines()]
        assert [sign in signs for sign in "=@+?"] == [store in stores for store in STORES] + [search]


def test_instructions_of_memory_r1_are_about_its_store():
    codec = MemoryR1Codec("episodic")
    operations = codec.parse(codec.instructions(["episodic"], search=False).partition("Example:\n")[2])
    assert [operation.kind for operation in operations] == ["insert", "update", "delete"]
    with pytest.raises(ValueError, match="expected one or more of episodic"):
        codec.instructions(["semantic"], search=False)
    with pytest.raises(ValueError, match="no search"):
        codec.instructions(["episodic"], search=True)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("stores", [["facts"], []])
def test_instructions_for_unknown_stores_are_refused(codec, stores):
    with pytest.raises(ValueError, match="expected one or more of"):
        get_codec(codec).instructions(stores, search=False)
