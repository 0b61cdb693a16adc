import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.tasks.custom import Problem, load_custom, validate_custom
from memgym.tasks.episode import Chunk, Episode, GoldMemory, Question, Turn
from memgym.tasks.record_check import check_record
from memgym.tasks.schema import from_record, to_record

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "tests" / "data" / "custom_example.jsonl"


def minimal(id_: str = "e", **changes) -> dict:
    record = {
        "id": id_,
        "chunks": [{"text": "The key is under the mat."}],
        "questions": [{"text": "Where is the key?", "answers": ["under the mat"]}],
    }
    return {**record, **changes}


def write(folder: Path, *records, name: str = "data.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return path


def question(**changes) -> list[dict]:
    return [{"text": "Where is the key?", "answers": ["under the mat"], **changes}]


# --- reading ---


def test_the_example_file_is_valid_and_loads_as_documented():
    assert validate_custom(EXAMPLE) == []
    garden, logbook = load_custom(EXAMPLE)
    assert (garden.id, garden.source, garden.split, garden.licence) == ("garden-1", "garden-chat", "train", "CC0-1.0")
    assert garden.chunks[0].text.splitlines()[1] == "Bo: Nice. I only water twice a week, on Monday and Friday."
    assert [turn.timestamp for turn in garden.turns] == ["2024-03-02T09:15", "2024-03-02T09:15", "2024-04-11T18:40"]
    assert garden.questions[1].answers == ("every evening", "daily")
    assert garden.questions[1].metric == "em_or_f1"
    assert garden.gold_memories[1].supersedes == 0
    assert logbook.chunks[1].text.startswith("日記")
    assert logbook.questions[1].answerable is False


def test_omitted_fields_take_the_documented_defaults(tmp_path):
    (episode,) = load_custom(write(tmp_path, minimal()))
    assert episode == Episode(
        id="e",
        source="custom",
        split="test",
        chunks=(Chunk(0, (Turn("c0:0", "", "The key is under the mat."),)),),
        questions=(Question("q0", "Where is the key?", ("under the mat",), "", (), "squad_f1", True, ""),),
    )


def test_a_turn_without_a_timestamp_takes_that_of_its_chunk_and_keeps_its_own():
    turns = [{"text": "a"}, {"text": "b", "timestamp": "2024-01-02T03:04"}, {"text": "c", "timestamp": ""}]
    episode = from_record(minimal(chunks=[{"timestamp": "2024-01-01", "turns": turns}]))
    assert [turn.timestamp for turn in episode.turns] == ["2024-01-01", "2024-01-02T03:04", ""]


def test_evidence_may_name_default_ids():
    record = minimal(chunks=[{"text": "a"}, {"turns": [{"text": "b"}, {"text": "c"}]}], questions=question())
    record["questions"][0]["evidence"] = ["c0:0", "c1:1"]
    assert from_record(record).questions[0].evidence == ("c0:0", "c1:1")


def test_json_may_hold_a_list_or_one_record(tmp_path):
    several = tmp_path / "several.json"
    several.write_text(json.dumps([minimal("a"), minimal("b")], indent=2))
    one = tmp_path / "one.json"
    one.write_text(json.dumps(minimal("a"), indent=2))
    assert [episode.id for episode in load_custom(several)] == ["a", "b"]
    assert [episode.id for episode in load_custom(one)] == ["a"]


def test_byte_order_mark_crlf_blank_lines_and_line_separators_in_strings_are_fine(tmp_path):
    text = json.dumps(minimal(chunks=[{"text": "naïve\u2028日本\u0085🗝"}]), ensure_ascii=False)
    path = tmp_path / "data.jsonl"
    path.write_bytes(("\ufeff" + text + "\r\n\r\n" + json.dumps(minimal("f")) + "\r\n").encode())
    assert validate_custom(path) == []
    assert [episode.id for episode in load_custom(path)] == ["e", "f"]
    assert load_custom(path)[0].turns[0].text == "naïve\u2028日本\u0085🗝"


def test_split_selects_and_an_absent_or_unknown_split_is_refused():
    assert [episode.id for episode in load_custom(EXAMPLE, split="test")] == ["logbook-1"]
    with pytest.raises(ValueError, match=r"no episode in split 'validation'; the file has test, train"):
        load_custom(EXAMPLE, split="validation")
    with pytest.raises(ValueError, match="split 'dev': expected one of train, validation, test, or None"):
        load_custom(EXAMPLE, split="dev")


@pytest.mark.parametrize("read", [load_custom, validate_custom])
def test_a_missing_file_and_a_file_of_another_kind_are_told_apart(read, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file .*nowhere\.jsonl"):
        read(tmp_path / "nowhere.jsonl")
    with pytest.raises(ValueError, match=r"expected a file that ends in \.json or \.jsonl"):
        read(tmp_path / "data.csv")


# --- problems ---


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"id": " "}, "id", "empty"),
        ({"id": 3}, "id", "number 3: expected a string"),
        ({"split": "dev"}, "split", "'dev': expected train, validation, test"),
        ({"split": None}, "split", "null None: expected a string"),
        ({"chunk": []}, "chunk", "unknown field: did you mean 'chunks'?"),
        ({"notes": 1}, "notes", "unknown field: expected id, chunks"),
        ({"chunks": []}, "chunks", "empty: expected at least one chunk"),
        ({"chunks": {}}, "chunks", "object: expected a list"),
        ({"chunks": ["text"]}, "chunks[0]", "string: expected an object"),
        ({"chunks": [{}]}, "chunks[0].turns", "missing"),
        ({"chunks": [{"turns": []}]}, "chunks[0].turns", "empty: expected at least one turn"),
        ({"chunks": [{"text": ""}]}, "chunks[0].text", "empty: expected some text"),
        ({"chunks": [{"text": "x\ud800"}]}, "chunks[0].text", "not valid Unicode"),
        ({"chunks": [{"turns": [{"speaker": "A"}]}]}, "chunks[0].turns[0].text", "missing"),
        ({"chunks": [{"text": "a", "timestamp": "1 May 2023"}]}, "chunks[0].timestamp", "expected ISO 8601"),
        ({"chunks": [{"text": "a", "timestamp": "2023-02-30"}]}, "chunks[0].timestamp", "expected ISO 8601"),
        ({"chunks": [{"text": "a", "timestamp": "20230228"}]}, "chunks[0].timestamp", "expected ISO 8601"),
        ({"chunks": [{"text": "a", "id": "x"}, {"text": "b", "id": "x"}]}, "chunks[1].id", "another turn"),
        ({"chunks": [{"text": "a", "id": "c1:0"}, {"text": "b"}]}, "chunks[1].id", "another turn"),
        ({"questions": "none"}, "questions", "string: expected a list"),
        ({"questions": question(answers=[])}, "questions[0].answers", "empty: expected at least one"),
        ({"questions": question(answers=[""])}, "questions[0].answers[0]", "empty: expected some text"),
        ({"questions": question(answers=[3])}, "questions[0].answers[0]", "number 3: expected a string"),
        ({"questions": question(answers="mat")}, "questions[0].answers", "string: expected a list"),
        ({"questions": question(evidence=["g9"])}, "questions[0].evidence", "'g9': no turn of this episode"),
        ({"questions": question(metric="f1")}, "questions[0].metric", "unknown metric 'f1': expected one of squad_em"),
        ({"questions": question(answerable="no")}, "questions[0].answerable", "'no': expected true or false"),
        ({"questions": question(answer="x")}, "questions[0].answer", "did you mean 'answers'?"),
        ({"questions": question(timestamp="25:00")}, "questions[0].timestamp", "expected ISO 8601"),
        ({"questions": question(id="q1") + question()}, "questions[1].id", "'q1': another question"),
        ({"gold_memories": [{"text": "a", "turn_ids": ["z"]}]}, "gold_memories[0].turn_ids", "'z': no turn"),
        ({"gold_memories": [{"text": "a", "turn_ids": [], "supersedes": 0}]}, "gold_memories[0].supersedes", "another"),
        ({"gold_memories": [{"turn_ids": []}]}, "gold_memories[0].text", "missing"),
        ({"memory": [{"turn_ids": ["z"]}]}, "memory[0].text", "missing"),
        ({"memory": [{"text": "a", "store": "attic"}]}, "memory[0].store", "'attic': expected one of core, episodic"),
        ({"memory": [{"text": "a", "timestamp": "May"}]}, "memory[0].timestamp", "expected ISO 8601"),
        ({"memory": [{"text": "a", "turn_ids": [3]}]}, "memory[0].turn_ids[0]", "number 3: expected a string"),
    ],
)
def test_each_problem_names_its_field_and_what_was_expected(changes, field, message):
    found = check_record(minimal(**changes))
    assert [name for name, _ in found] == [field]
    assert message in found[0][1]
    assert "\n" not in found[0][1]


@pytest.mark.parametrize("field", ["id", "chunks", "questions"])
def test_a_missing_required_field_is_the_only_problem_it_causes(field):
    record = minimal()
    del record[field]
    assert check_record(record) == [(field, "missing")]


def test_all_problems_of_a_file_are_found_in_one_pass_with_their_lines(tmp_path):
    path = tmp_path / "data.jsonl"
    bad = minimal("b", split="dev", questions=question(answers=[], metric="f1"))
    lines = [json.dumps(minimal("a")), "", '{"id": ', json.dumps(bad), "[1]", json.dumps(minimal("a"))]
    path.write_text("\n".join(lines))
    problems = validate_custom(path)
    assert [(problem.row, problem.field) for problem in problems] == [
        (3, ""),
        (4, "split"),
        (4, "questions[0].answers"),
        (4, "questions[0].metric"),
        (5, ""),
        (6, "id"),
    ]
    assert "bad JSON at column 8" in problems[0].message
    assert "list: expected an object" in problems[4].message
    assert "also the id of the episode in row 1" in problems[5].message
    assert {problem.file for problem in problems} == {str(path)}
    with pytest.raises(ValueError, match=r"line 3: bad JSON .*\(1 of 6 problems; validate_custom lists all\)"):
        load_custom(path)


def test_rows_of_a_json_list_are_counted_from_zero(tmp_path):
    path = tmp_path / "data.json"
    path.write_text(json.dumps([minimal("a"), minimal("b", split="dev")]))
    (problem,) = validate_custom(path)
    assert str(problem) == f"{path} record 1: split: 'dev': expected train, validation, test"


def test_bad_json_in_a_json_file_names_the_line(tmp_path):
    path = tmp_path / "data.json"
    path.write_text('[\n{"id": "a"},\n]')
    (problem,) = validate_custom(path)
    assert problem.row is None
    assert "bad JSON at line 3 column 1" in str(problem)


@pytest.mark.parametrize("name", ["data.json", "data.jsonl"])
@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf", b" \r\n\n"])
def test_an_empty_file_is_a_problem(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    assert validate_custom(path) == [Problem(str(path), None, "", "the file holds no episode")]


def test_an_empty_list_is_a_problem(tmp_path):
    (tmp_path / "data.json").write_text("[]")
    assert [problem.message for problem in validate_custom(tmp_path / "data.json")] == ["the file holds no episode"]


def test_bytes_that_are_not_utf_8_are_a_problem(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_bytes(b'{"id": "\xe9"}')
    assert [problem.message for problem in validate_custom(path)] == ["not UTF-8 at byte 8: save the file as UTF-8"]


@pytest.mark.parametrize("line", ["[" * 100_000, "1" * 5_000])
def test_hostile_json_is_a_problem_and_no_crash(tmp_path, line):
    path = tmp_path / "data.jsonl"
    path.write_text(line)
    (problem,) = validate_custom(path)
    assert problem.row == 1
    assert problem.message.startswith("bad JSON")


_KEYS = st.sampled_from(["id", "chunks", "questions", "turns", "text", "answers", "evidence", "metric", "timestamp"])
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS | st.text(max_size=3), inner, max_size=5),
    max_leaves=12,
)


@given(_JSON)
def test_any_json_value_is_checked_without_an_exception(value):
    problems = check_record(value)
    assert problems or from_record(value)


# --- round trip ---

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(str.strip)
_TIME = st.sampled_from(["", "2024-02-29T23:59", "2023-05-08"])


@st.composite
def episodes(draw) -> Episode:
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=3))
    turn_ids = [f"t{i}" for i in range(sum(sizes))]
    turns = [Turn(id_, draw(st.text("ab :", max_size=3)), draw(_TEXT), draw(_TIME)) for id_ in turn_ids]
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    chunks = tuple(Chunk(index, tuple(turns[start : start + sizes[index]])) for index, start in enumerate(starts))
    some_ids = st.lists(st.sampled_from(turn_ids), max_size=2).map(tuple)
    answers = st.lists(_TEXT, min_size=1, max_size=2).map(tuple)
    metric = st.sampled_from(["squad_f1", "locomo_3", "abstain"])
    questions = tuple(
        Question(f"q{i}", draw(_TEXT), draw(answers), draw(_TEXT), draw(some_ids), draw(metric), draw(st.booleans()))
        for i in range(draw(st.integers(0, 2)))
    )
    memories = tuple(
        GoldMemory(draw(_TEXT), draw(some_ids), draw(_TIME), None if i == 0 else i - 1)
        for i in range(draw(st.integers(0, 2)))
    )
    return Episode(
        draw(_TEXT), draw(_TEXT), "validation", chunks, questions, memories, draw(st.text("CBY-", max_size=4))
    )


@given(episodes())
def test_an_episode_survives_the_way_through_json(episode):
    assert from_record(json.loads(json.dumps(to_record(episode)))) == episode


def test_exported_episodes_load_from_a_file(tmp_path):
    originals = load_custom(EXAMPLE)
    assert load_custom(write(tmp_path, *map(to_record, originals))) == originals


def test_a_record_with_problems_is_refused_with_the_first_one():
    with pytest.raises(ValueError, match=r"^episode record: notes: unknown field: .* \(1 of 2 problems\)$"):
        from_record(minimal(split="dev", notes=""))
    with pytest.raises(ValueError, match=r"^episode record: null: expected an object with id, chunks, questions"):
        from_record(None)


# --- the documented conversion ---


def documented_converter() -> dict:
    page = (ROOT / "docs" / "custom-data.md").read_text(encoding="utf-8")
    (code,) = (block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "def convert" in block)
    namespace = {"__name__": "convert"}
    exec(compile(code, "docs/custom-data.md", "exec"), namespace)
    return namespace


def longmemeval_instance(**changes) -> dict:
    instance = {
        "question_id": "ab12",
        "question_type": "single-session-user",
        "question": "Which kayak did I buy?",
        "question_date": "2023/05/30 (Tue) 23:40",
        "answer": 2,
        "answer_session_ids": ["answer_77"],
        "haystack_session_ids": ["answer_77", "plain_1"],
        "haystack_dates": ["2023/05/20 (Sat) 02:21", "2023/05/19 (Fri) 10:05"],
        "haystack_sessions": [
            [{"role": "user", "content": "I bought the red kayak.", "has_answer": True}],
            [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "Hi.", "has_answer": False}],
        ],
    }
    return {**instance, **changes}


def test_the_conversion_on_the_documentation_page_gives_valid_records():
    record = documented_converter()["convert"](longmemeval_instance())
    episode = from_record(record)
    assert [chunk.timestamp for chunk in episode.chunks] == ["2023-05-19T10:05", "2023-05-20T02:21"]
    assert episode.questions[0].evidence == ("s1t0",)
    assert episode.questions[0].answers == ("2",)
    assert "answer_77" not in json.dumps(record)


def test_the_conversion_on_the_documentation_page_marks_unanswerable_questions():
    record = documented_converter()["convert"](longmemeval_instance(question_id="ab12_abs"))
    (asked,) = from_record(record).questions
    assert (asked.answerable, asked.metric, asked.answers) == (False, "abstain", ("No information available",))
