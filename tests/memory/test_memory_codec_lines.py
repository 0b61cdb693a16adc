import pytest

from memgym.memory import MemoryBank, Operation
from memgym.memory.codecs import LinesCodec


def reasons(operations):
    assert {operation.kind for operation in operations} == {"invalid"}
    return [operation.text for operation in operations]


LINES = {
    "+ Ann likes tea": Operation("insert", "semantic", "Ann likes tea"),
    "+ 2024-05-08 Ann moved": Operation("insert", "semantic", "Ann moved", timestamp="2024-05-08"),
    "+ - 2024-05-08 was sunny": Operation("insert", "semantic", "2024-05-08 was sunny"),
    "+ - - a": Operation("insert", "semantic", "- a"),
    "+ - -": Operation("insert", "semantic", "-"),
    "+ + a": Operation("insert", "semantic", "+ a"),
    "+ -3": Operation("insert", "semantic", "-3"),
    "@ Ann moved": Operation("insert", "episodic", "Ann moved"),
    "@ 2024-05-08T13:56 Ann moved": Operation("insert", "episodic", "Ann moved", timestamp="2024-05-08T13:56"),
    "@ 2024-05-08 2024-05-09 is tomorrow": Operation(
        "insert", "episodic", "2024-05-09 is tomorrow", timestamp="2024-05-08"
    ),
    "@ 2024-05-08 - a": Operation("insert", "episodic", "- a", timestamp="2024-05-08"),
    "@ 2024-05-08T99:99 a": Operation("insert", "episodic", "2024-05-08T99:99 a"),
    "@ 2023-02-31 a": Operation("insert", "episodic", "2023-02-31 a"),
    "@12": Operation("insert", "episodic", quote=12),
    "+3": Operation("insert", "semantic", quote=3),
    "@ 12": Operation("insert", "episodic", "12"),
    "+ 12": Operation("insert", "semantic", "12"),
    "= Ann is a nurse": Operation("update", "core", "Ann is a nurse"),
    "-=": Operation("delete", "core"),
    "~3 Ann likes milk": Operation("update", "", "Ann likes milk", 3),
    "~3 : a": Operation("update", "", ": a", 3),
    "~0 2024-05-08 a": Operation("update", "", "a", 0, "2024-05-08"),
    "-12": Operation("delete", "", entry_id=12),
    "? tea": Operation("search", "", "tea"),
    "? + tea": Operation("search", "", "+ tea"),
    "? 10 downing street": Operation("search", "", "10 downing street"),
    "?+ tea": Operation("search", "semantic", "tea"),
    "?@ tea": Operation("search", "episodic", "tea"),
    "?9 tea": Operation("search", "", "tea", k=9),
    "?@20 tea": Operation("search", "episodic", "tea", k=20),
}


@pytest.mark.parametrize(("line", "operation"), LINES.items())
def test_lines_are_read_and_written(line, operation):
    assert LinesCodec().parse(line) == [operation]
    assert LinesCodec().render([operation]) == line


def test_lines_of_a_reply_are_independent():
    assert LinesCodec().parse("\n".join(LINES)) == list(LINES.values())
    assert LinesCodec().render(list(LINES.values())) == "\n".join(LINES)


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("+Ann likes tea", "+ Ann likes tea"),
        ("  +   Ann likes tea  ", "+ Ann likes tea"),
        ("- + Ann likes tea", "+ Ann likes tea"),
        ("* + Ann likes tea", "+ Ann likes tea"),
        ("• + Ann likes tea", "+ Ann likes tea"),
        ("1. + Ann likes tea", "+ Ann likes tea"),
        ("2) ~3 a", "~3 a"),
        ("+ - Ann likes tea", "+ Ann likes tea"),
        ("@2024-05-08 a", "@ 2024-05-08 a"),
        ("@ 2024-05-08: a", "@ 2024-05-08 a"),
        ("~ 3 a", "~3 a"),
        ("~[3] a", "~3 a"),
        ("~#3: a", "~3 a"),
        ("- 12", "-12"),
        ("-[12]", "-12"),
        ("- -12", "-12"),
        ("- =", "-="),
        ("?tea", "? tea"),
        ("...", "."),
        ("Done.", "."),
        ("", "."),
        ("```\n+ a\n```", "+ a"),
        ("+ a\r\n\r\n+ b", "+ a\n+ b"),
        (".\n+ a", "+ a"),
    ],
)
def test_lines_forgive_common_variants(line, meant):
    assert LinesCodec().parse(line) == LinesCodec().parse(meant)
    assert LinesCodec().render(LinesCodec().parse(line)) == meant


@pytest.mark.parametrize(
    "line", ["Ann likes tea", "- Ann likes tea", "-3 cats live here", "~ Ann", "~3tea", "--", "-" + "9" * 19]
)
def test_lines_without_a_readable_sign_are_invalid(line):
    assert reasons(LinesCodec().parse(line)) == [f"cannot read the line {line!r}"]


def test_a_sign_without_text_is_left_for_the_bank_to_refuse():
    bank = MemoryBank()
    bank.insert("semantic", "a")
    assert [bank.apply(operation).code for operation in LinesCodec().parse("+\n@ 2024-05-08\n=\n~1\n?")] == [
        "empty_text"
    ] * 5


def test_line_breaks_in_a_text_become_spaces():
    operation = Operation("insert", "semantic", " Ann likes\r\n  tea \n\n and\tmilk\u2028too ")
    assert LinesCodec().render([operation]) == "+ Ann likes tea and\tmilk\u2028too"


def test_lines_keep_the_store_of_an_entry_out():
    operations = [Operation("update", "semantic", "a", 1), Operation("delete", "episodic", entry_id=2)]
    rendered = LinesCodec().render(operations)
    assert rendered == "~1 a\n-2"
    assert LinesCodec().parse(rendered) == [Operation("update", "", "a", 1), Operation("delete", "", entry_id=2)]
