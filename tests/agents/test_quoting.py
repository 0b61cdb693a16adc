import pytest

from agents.quoting import read_quotes, write_quotes
from memgym.memory.operations import Operation

CHUNK = (
    "Ann: My cat is called Fig.\nBo: The news is so boring.\nAnn: My cat is at the vet today.\nA line without a speaker"
)


def keep(number):
    return Operation("insert", "episodic", quote=number)


def test_a_row_keeps_the_line_it_opens_with_the_speaker_left_out_and_the_case_ignored():
    assert read_quotes("my CAT is called\nThe news", CHUNK) == [keep(1), keep(2)]


def test_a_row_that_opens_several_lines_keeps_the_first():
    assert read_quotes("My cat", CHUNK) == [keep(1)]


def test_a_row_that_opens_no_line_is_an_invalid_operation_and_says_so():
    (operation,) = read_quotes("My dog is", CHUNK)
    assert operation.kind == "invalid"
    assert "no line of the chunk opens with 'My dog is'" in operation.text


@pytest.mark.parametrize("reply", ["", ".", " . \n"])
def test_a_dot_or_nothing_keeps_nothing(reply):
    assert read_quotes(reply, CHUNK) == [Operation("noop")]


def test_writing_uses_the_fewest_words_that_tell_the_line_from_those_before_it():
    assert write_quotes([keep(1), keep(3), keep(4)], CHUNK) == "My cat is\nMy cat is at\nA line without"


def test_a_copied_line_is_written_like_a_quoted_one():
    assert write_quotes([Operation("insert", "episodic", "Bo: The news is so boring.")], CHUNK) == "The news is"


@pytest.mark.parametrize("numbers", [(), (1,), (2, 3), (1, 2, 3, 4)])
def test_what_is_written_is_read_back(numbers):
    expected = [keep(number) for number in numbers] or [Operation("noop")]
    assert read_quotes(write_quotes([keep(number) for number in numbers], CHUNK), CHUNK) == expected


def test_other_operations_have_no_such_form():
    with pytest.raises(ValueError, match="can only keep lines of the chunk, not insert 'new words'"):
        write_quotes([Operation("insert", "episodic", "new words")], CHUNK)
