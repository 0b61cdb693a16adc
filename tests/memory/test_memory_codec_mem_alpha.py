import json
import math

import pytest

from memgym.memory import MemoryBank, Operation
from memgym.memory.codecs import MemAlphaCodec

NOOP = Operation("noop")


def call(name, **arguments):
    return f"<tool_call>\n{json.dumps({'name': name, 'arguments': arguments})}\n</tool_call>"


def reasons(operations):
    assert {operation.kind for operation in operations} == {"invalid"}
    return [operation.text for operation in operations]


MEM_ALPHA = [
    Operation("insert", "episodic", "Ann moved.", timestamp="2024-05-08"),
    Operation("insert", "semantic", 'line\nbreak, "quotes", tea\u2028, </tool_call> and <tool_call>'),
    Operation("update", "core", "Ann is a nurse."),
    Operation("update", "semantic", "Ann likes tea.", 3),
    Operation("update", "", "Ann likes tea.", 3),
    Operation("delete", "core"),
    Operation("delete", "episodic", entry_id=0),
    Operation("search", "semantic", "tea"),
    Operation("search", "", "tea", k=20),
]


def test_mem_alpha_reads_what_it_writes():
    codec = MemAlphaCodec()
    assert codec.parse(codec.render(MEM_ALPHA)) == MEM_ALPHA
    assert all(codec.parse(codec.render([operation])) == [operation] for operation in MEM_ALPHA)


def test_mem_alpha_writes_native_calls_of_the_papers_tools():
    assert MemAlphaCodec().render(MEM_ALPHA[:1] + MEM_ALPHA[3:4]) == (
        "<tool_call>\n"
        '{"name": "new_memory_insert", "arguments": {"memory_type": "episodic_memory", "content": "Ann moved.", '
        '"timestamp": "2024-05-08"}}\n'
        "</tool_call>\n"
        "<tool_call>\n"
        '{"name": "memory_update", "arguments": {"memory_type": "semantic_memory", "memory_id": 3, '
        '"new_content": "Ann likes tea."}}\n'
        "</tool_call>"
    )


INSERT = Operation("insert", "semantic", "Ann likes tea.")
CALL = '{"name": "new_memory_insert", "arguments": {"memory_type": "semantic_memory", "content": "Ann likes tea."}}'


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{CALL}</tool_call>",
        f"<tool_call>\n{CALL}",
        f"Let me store that.\n<tool_call>\n{CALL}\n</tool_call>\nDone.",
        f"```json\n{CALL}\n```",
        f"<tool_call>\n```json\n{CALL}\n```\n</tool_call>",
        f"I will call: {CALL} - that is all.",
        CALL[:-2],
        CALL + "}}",
        CALL.replace("semantic_memory", "semantic"),
        CALL.replace("semantic_memory", " Semantic_Memory "),
        CALL.replace('"', "'"),
        CALL.replace("}}", ",},}"),
        CALL.replace('"name"', "name").replace('"arguments"', "arguments"),
        CALL.replace('"content"', '"new_content"'),
        CALL.replace('"arguments"', '"parameters"'),
        CALL.replace('"arguments": {', "").replace("}}", "}"),
        json.dumps({"name": "new_memory_insert", "arguments": json.dumps(json.loads(CALL)["arguments"])}),
        json.dumps({"type": "function", "function": json.loads(CALL)}),
        json.dumps({"tool_calls": [json.loads(CALL)]}),
        f"[{CALL}]",
        f"{{not json}} [see 3] {CALL}",
    ],
)
def test_mem_alpha_forgives_the_form_of_a_call(text):
    assert MemAlphaCodec().parse(text) == [INSERT]


@pytest.mark.parametrize(
    "text",
    [
        f"<tool_call>{CALL}{CALL}</tool_call>",
        f"<tool_call>\n{CALL}\n{CALL}\n</tool_call>",
        f"<tool_call>[{CALL}, {CALL}]</tool_call>",
        f"<tool_call>{CALL}<tool_call>{CALL}",
        f"[{CALL} {CALL}",
        f"{CALL}\n\nand\n\n{CALL}",
    ],
)
def test_mem_alpha_reads_several_calls_in_order(text):
    assert MemAlphaCodec().parse(text) == [INSERT, INSERT]


@pytest.mark.parametrize("text", ["", " \n", "done", "Done.", '"done"', "NOOP", "None!", "No operation."])
def test_mem_alpha_reads_nothing_to_do(text):
    assert MemAlphaCodec().parse(text) == [NOOP]


def test_mem_alpha_forgives_quotes_and_line_breaks_inside_strings():
    text = (
        """{'name': 'new_memory_insert', 'arguments': {'memory_type': 'semantic', 'content': 'Ann's "tea"\nis \\d'}}"""
    )
    assert MemAlphaCodec().parse(text) == [Operation("insert", "semantic", 'Ann\'s "tea"\nis \\d')]


@pytest.mark.parametrize(("memory_id", "expected"), [(3, 3), ("3", 3), (" #3", 3), (3.0, 3), (-1, -1), (None, None)])
def test_mem_alpha_reads_ids_as_numbers_or_strings(memory_id, expected):
    text = call("memory_delete", memory_type="episodic_memory", memory_id=memory_id)
    assert MemAlphaCodec().parse(text) == [Operation("delete", "episodic", entry_id=expected)]


@pytest.mark.parametrize("memory_id", ["three", "", 2.5, True, [3], math.inf, "٣", "9" * 19])
def test_mem_alpha_refuses_ids_that_are_no_numbers(memory_id):
    (reason,) = reasons(MemAlphaCodec().parse(call("memory_delete", memory_type="semantic", memory_id=memory_id)))
    assert reason.startswith("memory_delete: memory_id must be the number of an entry")


def test_mem_alpha_ignores_an_id_of_core():
    text = call("memory_update", memory_type="core_memory", new_content="a", memory_id="none")
    assert MemAlphaCodec().parse(text) == [Operation("update", "core", "a")]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("I have stored everything.", "no tool call found"),
        ("<tool_call></tool_call>", "no tool call found"),
        ("<tool_call>done</tool_call>", "no tool call found"),
        ('{"memory": []}', "no tool call found"),
        (CALL[:-8], "malformed JSON in a tool call"),
        (f"<tool_call>{CALL[:60]}</tool_call>", "malformed JSON in a tool call"),
        ('{"tool_calls": 3}', "malformed JSON in a tool call"),
        (call("remember", text="a"), "unknown tool 'remember': use one of new_memory_insert"),
        ('{"name": 3, "arguments": {}}', "unknown tool 3"),
        ('{"name": "memory_delete", "arguments": [1]}', "memory_delete: its arguments are no JSON object"),
        ('{"name": "memory_delete", "arguments": "1"}', "memory_delete: its arguments are no JSON object"),
        (call("new_memory_insert", memory_type="semantic", content=["a"]), "content must be a string"),
        (call("new_memory_insert", memory_type={}, content="a"), "memory_type must be a string"),
    ],
)
def test_mem_alpha_says_what_it_could_not_read(text, reason):
    assert reason in reasons(MemAlphaCodec().parse(text))[0]


def test_mem_alpha_keeps_the_good_calls_beside_a_bad_one():
    operations = MemAlphaCodec().parse(f"<tool_call>{CALL[:60]}</tool_call><tool_call>{CALL}</tool_call>")
    assert [operation.kind for operation in operations] == ["invalid", "insert"]


@pytest.mark.parametrize(
    ("text", "operation", "code"),
    [
        (
            call("new_memory_insert", memory_type="facts", content="a"),
            Operation("insert", "facts", "a"),
            "unknown_store",
        ),
        (call("new_memory_insert", content="a"), Operation("insert", "", "a"), "unknown_store"),
        (
            call("new_memory_insert", memory_type="core_memory", content="a"),
            Operation("insert", "core", "a"),
            "wrong_store",
        ),
        (
            call("memory_update", memory_type="semantic", memory_id=1),
            Operation("update", "semantic", "", 1),
            "unknown_id",
        ),
        (call("new_memory_insert", memory_type="semantic"), Operation("insert", "semantic"), "empty_text"),
        (
            call("memory_update", memory_type="semantic", new_content=5),
            Operation("update", "semantic", "5"),
            "unknown_id",
        ),
    ],
)
def test_mem_alpha_leaves_wrong_contents_for_the_bank_to_refuse(text, operation, code):
    assert MemAlphaCodec().parse(text) == [operation]
    assert MemoryBank().apply(operation).code == code
