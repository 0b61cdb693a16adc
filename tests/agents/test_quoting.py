import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.quoting import read_quotes, write_quotes
from memgym.memory.operations import Operation

CHUNK = (
    "Ann: My cat is called Fig.\nBo: The news is so boring.\nAnn: My cat is at the vet today.\nA line without a speaker"
)


def keep(number):
    return Operation("insert", "episodic", quote=number)


def test_a_row_keeps_the_line_it_opens_with_the_speaker_left_out_and_the_case_ignored():
    assert read_quotes("my CAT is called\nThe news is", CHUNK) == [keep(1), keep(2)]


def test_a_row_may_copy_the_speaker_with_the_words_as_the_prompt_shows_them():
    assert read_quotes("Ann: Well hello", "Ann: Well hello\nBob: What now") == [keep(1)]
    assert read_quotes("Ann: My cat is at\nbo: the news", CHUNK) == [keep(3), keep(2)]


def test_a_line_may_be_kept_as_its_sentences():
    first, second = "I bought a red bicycle in the town of Bern.", "It is the fastest one that I have ever had."
    chunk = f"Ann: {first} {second}\nBo: Lovely weather again."
    assert read_quotes("I bought a\nLovely weather\nand so on", chunk, sentences=True) == [
        Operation("insert", "episodic", f"Ann: {first}"),
        Operation("insert", "episodic", f"Ann: {second}"),
        keep(2),
        *read_quotes("and so on", chunk),
    ]
    assert read_quotes(".", chunk, sentences=True) == [Operation("noop")]


def test_a_row_that_opens_several_lines_keeps_the_first():
    assert read_quotes("My cat is", CHUNK) == [keep(1)]


def test_a_row_that_is_a_whole_line_keeps_it_though_a_line_before_opens_with_it():
    assert read_quotes("I sail now", "Ann: I sail now and then.\nBo: I sail now") == [keep(2)]


@pytest.mark.parametrize(
    "row", ["My dog is", "m", "My cat", "My cat i", "Bo: My cat is called", "Ann: My", "is called Fig."]
)
def test_a_row_that_opens_no_line_or_several_with_less_than_three_words_is_an_invalid_operation_and_says_so(row):
    (operation,) = read_quotes(row, CHUNK)
    assert operation.kind == "invalid"
    assert f"no line of the chunk opens with {row!r}" in operation.text


@pytest.mark.parametrize("row", ["why", "why not", "Why not?", "why no"])
def test_fewer_words_keep_the_only_line_that_opens_with_them(row):
    assert read_quotes(row, "Ann: Go on.\nBo: Why not?") == [keep(2)]


def test_a_part_of_a_word_keeps_nothing():
    assert read_quotes("wh", "Ann: Go on.\nBo: Why not?")[0].kind == "invalid"


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


def test_the_speaker_is_written_where_only_it_tells_a_line_from_another():
    chunk = "Ann: Yes!\nBo: Yes!\nBo: .\nAnn: Yes!"
    assert write_quotes([keep(1), keep(2), keep(3), keep(4)], chunk) == "Yes!\nBo: Yes!\nBo: .\nAnn: Yes!"


WORDS = st.sampled_from(["I", "go", "to", "Bern", "now", "i", "go,", "."])
LINES = st.tuples(st.sampled_from(["Ann: ", "Bo: ", "Ann Lee: "]), st.lists(WORDS, min_size=1, max_size=6)).map(
    lambda line: line[0] + " ".join(line[1])
)


@given(st.lists(LINES, min_size=1, max_size=8), st.data())
def test_every_line_can_be_named_but_for_one_that_repeats_another(lines, data):
    number = data.draw(st.integers(1, len(lines)))
    chunk = "\n".join(lines)
    first = [line.lower() for line in lines].index(lines[number - 1].lower()) + 1
    assert read_quotes(write_quotes([keep(number)], chunk), chunk) == [keep(first)]


@given(st.text(), st.text())
def test_any_reply_is_read_without_an_error(reply, chunk):
    assert all(operation.kind in ("insert", "noop", "invalid") for operation in read_quotes(reply, chunk))


def test_other_operations_have_no_such_form():
    with pytest.raises(ValueError, match="can only keep lines of the chunk, not insert 'new words'"):
        write_quotes([Operation("insert", "episodic", "new words")], CHUNK)
