"""The log of a teacher's calls: nothing that was answered is lost or asked for again."""

import json

import pytest

from agents.fact_pipeline import ExtractRequest, Reply, UpdateRequest
from agents.facts import Note
from memgym.exam.reader import ReadingTask
from memgym.memory.operations import Entry
from train.calls import CALLS, CallLog, RecordedReader

SETTINGS = {"teacher": "endpoint", "env": {"id": "memgym/Dialogue-v0", "kwargs": {"split": "train"}}}
EXTRACTS = [ExtractRequest(f"Ann: I ski in {place}.", "2024-05-01", 3, 1) for place in ("Bern", "Chur", "Davos")]
UPDATE = UpdateRequest("Ann skis.", (Note(4, "Ann swims."),), "", 3, 1)
TASK = ReadingTask("Where?", "", (Entry(1, "semantic", "Ann skis in Bern.", "", ("D1:1",), 0, 0),))


class Teacher:
    """Repeats what it is asked in capitals, and fails at some."""

    def __init__(self, fails_at: str = "nothing") -> None:
        self.fails_at = fails_at
        self.asked = []

    def __call__(self, requests):
        self.asked.append([request.chunk for request in requests])
        if any(self.fails_at in request.chunk for request in requests):
            raise OSError("gone")
        return [Reply(request.chunk.upper(), (1,), (2,), truncated="Chur" in request.chunk) for request in requests]


def log(folder, **options):
    return CallLog(folder, "endpoint:big", SETTINGS, **options)


def test_what_was_answered_before_a_failure_is_not_asked_for_again(tmp_path):
    with pytest.raises(OSError, match="gone"):
        log(tmp_path).replies("extract", EXTRACTS, Teacher(fails_at="Davos"))
    teacher = Teacher()
    replies = log(tmp_path, resume=True).replies("extract", EXTRACTS, teacher)
    assert teacher.asked == [["Ann: I ski in Davos."]]
    assert replies == [Reply(r.chunk.upper(), truncated="Chur" in r.chunk) for r in EXTRACTS]


def test_a_row_says_what_was_asked_of_whom_and_what_was_replied(tmp_path):
    calls = log(tmp_path / "run")
    calls.replies("update", [UPDATE], lambda requests: [Reply("ADD \ud800", (1,), (2,))])
    header, row = map(json.loads, (tmp_path / "run" / CALLS).read_text().splitlines())
    assert header == {"settings": SETTINGS}
    assert row == {
        "operation": "update",
        "request": {
            "fact": "Ann skis.",
            "notes": [{"id": 4, "text": "Ann swims."}],
            "timestamp": "",
            "episode": 3,
            "index": 1,
        },
        "reply": {"text": "ADD \ud800", "truncated": False},
        "teacher": "endpoint:big",
    }


def test_requests_are_asked_in_batches_of_those_not_answered_yet_each_once(tmp_path):
    teacher, calls = Teacher(), log(tmp_path, together=2)
    calls.replies("extract", EXTRACTS[:1], teacher)
    texts = [reply.text for reply in calls.replies("extract", [*EXTRACTS, EXTRACTS[2]], teacher)]
    assert [[chunk[-6:-1].strip() for chunk in batch] for batch in teacher.asked] == [["Bern"], ["Chur", "Davos"]]
    assert [text[-6:-1].strip() for text in texts] == ["BERN", "CHUR", "DAVOS", "DAVOS"]
    assert calls.replies("other", EXTRACTS[:1], lambda requests: [Reply("x")]) == [Reply("x")]


def test_a_reader_is_recorded_too(tmp_path):
    class Known:
        name, window = "known", 70

        def answer(self, tasks):
            return ["Bern" for _ in tasks]

    reader = RecordedReader(Known(), log(tmp_path))
    assert (reader.name, reader.window, reader.answer([TASK])) == ("known", 70, ["Bern"])
    reader.reader = None
    assert RecordedReader(Known(), log(tmp_path, resume=True)).answer([TASK]) == reader.answer([TASK]) == ["Bern"]


@pytest.mark.parametrize(("kept", "again"), [(-9, ["Davos"]), (20, ["Bern", "Chur", "Davos"])])
def test_a_row_that_was_cut_off_is_asked_for_again(tmp_path, kept, again):
    log(tmp_path).replies("extract", EXTRACTS, Teacher())
    path = tmp_path / CALLS
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    teacher = Teacher()
    log(tmp_path, resume=True).replies("extract", EXTRACTS, teacher)
    assert teacher.asked == [[f"Ann: I ski in {place}."] for place in again]
    assert path.read_bytes() == whole


def test_a_run_in_the_folder_of_another_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"--resume true, but there is no .*calls\.jsonl"):
        log(tmp_path, resume=True)
    log(tmp_path).replies("extract", EXTRACTS[:1], Teacher())
    with pytest.raises(ValueError, match=r"calls\.jsonl is there from an earlier run: choose another output_dir"):
        log(tmp_path)
    changed = {**SETTINGS, "teacher": "model"}
    with pytest.raises(ValueError, match=r"but teacher is 'model' and was 'endpoint' when the run in .* began"):
        CallLog(tmp_path, "model:big", changed, resume=True)


@pytest.mark.parametrize("row", ["{", "[]", '{"operation": "extract"}'])
def test_a_damaged_log_is_refused_by_line(tmp_path, row):
    log(tmp_path).replies("extract", EXTRACTS[:1], Teacher())
    with (tmp_path / CALLS).open("a") as file:
        file.write(row + "\n")
    with pytest.raises(ValueError, match=r"calls\.jsonl, line 3: not a call of train\.distill"):
        log(tmp_path, resume=True)
