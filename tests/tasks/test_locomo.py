"""Every trap of the LoCoMo file, on an invented one in its schema; test_locomo_published.py counts the real one."""

import hashlib
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from memgym.exam.metrics import METRICS
from memgym.tasks import locomo_file
from memgym.tasks.locomo import LoCoMo, duplicate_questions, parse_locomo_date, resolve_evidence
from memgym.tasks.locomo_file import LOCOMO_SHA256
from memgym.tasks.record_check import check_record
from memgym.tasks.schema import to_record

ALL = ("1", "2", "3", "4", "5")
SEARCH_TEXT = "annotator search text"
SUMMARY = "summary nobody said"


def turn(id_: str, text: str, speaker: str = "Ulla", **more) -> dict:
    return {"speaker": speaker, "dia_id": id_, "text": text, **more}


def main_conversation() -> dict:
    """Session keys out of order, a date without a session, pictures with and without an address, a line break."""
    return {
        "speaker_a": "Ulla",
        "speaker_b": "Per",
        "session_10": [turn("D10:1", "My ferry leaves at six.\n\nSee you!")],
        "session_10_date_time": "12:05 am on 1 January, 2024",
        "session_2": [
            turn("D2:1", "Look!", "Per", img_url=["http://x"], blip_caption="a photo of a boat", query=SEARCH_TEXT),
            turn("D2:2", "And this.", blip_caption="a map of a harbour"),
            turn("D2:3", "Lovely.", "Per", query=SEARCH_TEXT),
        ],
        "session_2_date_time": "1:56 pm on 8 May, 2023",
        "session_3_date_time": "2:00 pm on 9 May, 2023",
    }


MAIN_QUESTIONS = [
    {"question": "Which year?", "answer": 2022, "evidence": ["D2:1; D10:1"], "category": 1},
    {"question": "When does the ferry leave?", "answer": "at six", "evidence": ["D10:01", "D10:1"], "category": 2},
    {"question": "Is Per at sea?", "answer": "Likely yes; he shows a boat", "evidence": [], "category": 3},
    {"question": "On the map?", "answer": "a\u200b har\u200bbour ", "evidence": ["D", "D9:9", "D:2:2"], "category": 4},
    {"question": "What did Per cook?", "adversarial_answer": "trap soup", "evidence": ["D2:3"], "category": 5},
    {"question": "Hers?", "answer": "No", "adversarial_answer": "trap yes", "evidence": ["D2:1"], "category": 5},
    {"question": "On the map?", "answer": "a harbour ", "evidence": ["D2:2"], "category": 4},
    {"question": "What did Per cook?", "answer": "nothing", "evidence": ["D2:3"], "category": 4},
]  # fmt: skip


def sample(id_: str, conversation: dict, questions: list[dict]) -> dict:
    return {
        "sample_id": id_,
        "conversation": conversation,
        "observation": {"session_2_observation": {"Per": [[SUMMARY, "D2:1"]]}},
        "session_summary": {"session_2_summary": SUMMARY},
        "event_summary": {"events_session_2": {"Per": [SUMMARY], "date": "8 May, 2023"}},
        "qa": questions,
    }


def small(id_: str) -> dict:
    conversation = {"session_1": [turn("D1:1", "Hello.")], "session_1_date_time": "9:00 am on 2 March, 2023"}
    return sample(id_, conversation, [{"question": "Q?", "answer": "a", "evidence": ["D1:1"], "category": 4}])


@pytest.fixture
def records() -> list[dict]:
    return [
        sample("conv-41", main_conversation(), MAIN_QUESTIONS),
        small("conv-26"),
        small("conv-30"),
        small("conv-50"),
    ]


@pytest.fixture
def path(tmp_path, records) -> Path:
    file = tmp_path / "locomo10.json"
    file.write_text(json.dumps(records), encoding="utf-8")
    return file


@pytest.fixture
def task(path) -> LoCoMo:
    return LoCoMo(path, categories=ALL)


def by_id(task: LoCoMo) -> dict:
    return {question.id: question for question in task.episode(0).questions}


# --- the stream ---


def test_sessions_follow_their_numbers_and_dates_without_a_session_are_ignored(task):
    episode = task.episode(0)
    assert [chunk.turn_ids for chunk in episode.chunks] == [("D2:1", "D2:2", "D2:3"), ("D10:1",)]
    assert [chunk.timestamp for chunk in episode.chunks] == ["2023-05-08T13:56", "2024-01-01T00:05"]


def test_pictures_are_read_by_their_caption_with_or_without_an_address(task):
    assert task.episode(0).chunks[0].text == (
        "Per: Look! and shared a photo of a boat\nUlla: And this. and shared a map of a harbour\nPer: Lovely."
    )


def test_a_turn_is_one_line_even_where_the_file_breaks_it(task):
    assert task.episode(0).chunks[1].text == "Ulla: My ferry leaves at six. See you!"


def test_search_text_summaries_and_traps_are_nowhere_in_the_episode(task):
    written = json.dumps(to_record(task.episode(0)))
    assert all(text not in written for text in (SEARCH_TEXT, SUMMARY, "trap soup", "trap yes"))


def test_nothing_of_the_questions_is_in_the_chunks(task):
    stream = "\n".join(chunk.text for chunk in task.episode(0).chunks)
    assert all(question.text not in stream for question in task.episode(0).questions)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:56 pm on 8 May, 2023", "2023-05-08T13:56"),
        ("12:09 am on 13 September, 2023", "2023-09-13T00:09"),
        ("12:09 pm on 13 September, 2023", "2023-09-13T12:09"),
        ("11:01 am on 17 December, 2022", "2022-12-17T11:01"),
        ("11:59 PM on 29 february, 2024", "2024-02-29T23:59"),
    ],
)
def test_dates_become_iso_8601(text, expected):
    assert parse_locomo_date(text) == expected


@pytest.mark.parametrize("text", ["", "8 May, 2023", "13:56 pm on 8 May, 2023", "1:56 pm on 8 Mai, 2023"])
def test_another_date_form_is_refused(text):
    with pytest.raises(ValueError, match=r"^LoCoMo date .*: expected the form '1:56 pm on 8 May, 2023'$"):
        parse_locomo_date(text)


def test_chunking_stays_inside_sessions(path):
    episode = LoCoMo(path, chunking="turns:2").episode(0)
    assert [chunk.turn_ids for chunk in episode.chunks] == [("D2:1", "D2:2"), ("D2:3",), ("D10:1",)]


# --- evidence ---

KNOWN = {"D2:1", "D2:2", "D10:1", "D30:5", "D11:26"}


@pytest.mark.parametrize(
    ("raw", "found", "unresolved"),
    [
        ([], (), ()),
        (["D2:1", "D10:1"], ("D2:1", "D10:1"), ()),
        (["D2:1; D10:1"], ("D2:1", "D10:1"), ()),
        (["D2:1 D2:2 D10:1"], ("D2:1", "D2:2", "D10:1"), ()),
        (["D30:05"], ("D30:5",), ()),
        (["D:11:26"], ("D11:26",), ()),
        (["D2:1", "D", "D2:2"], ("D2:1", "D2:2"), ("D",)),
        (["D10:19", "D2:1"], ("D2:1",), ("D10:19",)),
        (["D2:1", "D2:1", "D2:1 D2:2"], ("D2:1", "D2:2"), ()),
    ],
)
def test_evidence_is_split_repaired_and_checked_against_the_turns(raw, found, unresolved):
    assert resolve_evidence(raw, KNOWN) == (found, unresolved)


def test_questions_keep_evidence_that_exists_and_the_task_records_the_rest(task):
    questions = by_id(task)
    assert questions["conv-41-q0"].evidence == ("D2:1", "D10:1")
    assert questions["conv-41-q1"].evidence == ("D10:1",)
    assert questions["conv-41-q2"].evidence == ()
    assert questions["conv-41-q3"].evidence == ("D2:2",)
    assert task.unresolved_evidence == {"conv-41-q3": ("D", "D9:9")}


def test_exported_episodes_are_valid_records(task):
    assert [check_record(to_record(episode)) for episode in task] == [[]] * len(task)


# --- answers ---


def test_golds_are_text_untouched_but_for_zero_width_spaces(task):
    golds = {id_: question.answers for id_, question in by_id(task).items()}
    assert golds["conv-41-q0"] == ("2022",)
    assert golds["conv-41-q2"] == ("Likely yes; he shows a boat",)
    assert golds["conv-41-q3"] == ("a harbour ",)


def test_adversarial_questions_ask_for_abstention_even_where_the_file_has_an_answer(task):
    for id_ in ("conv-41-q4", "conv-41-q5"):
        question = by_id(task)[id_]
        assert question.answers == ("No information available",)
        assert question.metric == "locomo_5"
        assert not question.answerable
    assert task.traps == {"conv-41-q4": "trap soup", "conv-41-q5": "trap yes"}


def test_every_other_question_is_answerable_and_names_the_scorer_of_its_category(task):
    others = [question for question in by_id(task).values() if question.category != "5"]
    assert [question.metric for question in others] == [f"locomo_{question.category}" for question in others]
    assert all(question.answerable for question in others)
    assert {question.metric for question in task.episode(0).questions} <= METRICS.keys()


def test_a_repeat_needs_the_same_text_category_and_gold(task):
    # The two texts about cooking differ in category, as one pair of conv-30 does.
    assert duplicate_questions(task.episode(0)) == {"conv-41-q6": "conv-41-q3"}


# --- selection ---


def test_splits_go_by_conversation(path):
    def ids(split: str) -> list[tuple[str, str]]:
        return [(episode.id, episode.split) for episode in LoCoMo(path, split=split)]

    assert ids("train") == [("conv-26", "train")]
    assert ids("validation") == [("conv-30", "validation")]
    assert ids("test") == [("conv-41", "test"), ("conv-50", "test")]
    assert ids("all") == [("conv-41", "test"), *ids("train"), *ids("validation"), ("conv-50", "test")]


def test_category_5_is_out_by_default_and_ids_do_not_depend_on_the_selection(path):
    default = by_id(LoCoMo(path))
    assert list(default) == [f"conv-41-q{index}" for index in (0, 1, 2, 3, 6, 7)]
    assert list(by_id(LoCoMo(path, categories=("5", "2")))) == ["conv-41-q1", "conv-41-q4", "conv-41-q5"]
    assert LoCoMo(path).traps == {}


def test_conversations_without_a_question_of_the_categories_are_left_out(path):
    assert [episode.id for episode in LoCoMo(path, split="all", categories=("3",))] == ["conv-41"]
    with pytest.raises(ValueError, match="no question of categories 3 in split 'train'"):
        LoCoMo(path, split="train", categories=("3",))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "dev"}, "LoCoMo split 'dev': expected one of train, validation, test, all"),
        ({"split": "al"}, "LoCoMo split 'al'"),
        ({"categories": ("6",)}, "LoCoMo categories"),
        ({"categories": (1, 2)}, "LoCoMo categories"),
        ({"categories": "1234"}, "LoCoMo categories"),
        ({"categories": ()}, "LoCoMo categories"),
        ({"chunking": "turn:2"}, "chunking 'turn:2'"),
    ],
)
def test_wrong_arguments_are_refused_before_the_file_is_read(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        LoCoMo("nowhere.json", **arguments)


# --- the file ---


def test_the_digest_is_recorded_and_another_file_is_not_verified(path, task):
    assert task.sha256 == hashlib.sha256(path.read_bytes()).hexdigest() != LOCOMO_SHA256
    assert task.verified is False


def test_the_first_load_says_the_licence_and_that_a_file_is_not_the_published_one(path, capsys, monkeypatch):
    locomo_file._say_once.cache_clear()
    LoCoMo(path)
    licence, warning = capsys.readouterr().err.splitlines()
    assert licence == f"memgym: {LoCoMo.attribution}"
    assert warning == f"memgym: {path} is not the published LoCoMo file: its scores compare with no others"
    LoCoMo(path, split="all")
    assert capsys.readouterr() == ("", "")
    locomo_file._say_once.cache_clear()
    monkeypatch.setattr(locomo_file, "LOCOMO_SHA256", LoCoMo(path).sha256)
    capsys.readouterr()
    locomo_file._say_once.cache_clear()
    LoCoMo(path)
    assert capsys.readouterr().err.splitlines() == [licence]


def test_licence_and_attribution_are_at_hand(task):
    assert task.episode(0).licence == LoCoMo.licence == "CC BY-NC 4.0"
    assert "Maharana" in LoCoMo.attribution
    assert "arXiv:2402.17753" in LoCoMo.attribution


def test_a_folder_and_the_environment_variable_lead_to_the_file(tmp_path, path, monkeypatch):
    assert len(LoCoMo(tmp_path)) == 2
    (tmp_path / "data" / "locomo").mkdir(parents=True)
    path.rename(tmp_path / "data" / "locomo" / "locomo10.json")
    monkeypatch.setenv("MEMGYM_DATA", str(tmp_path / "data"))
    assert len(LoCoMo()) == 2


@pytest.mark.parametrize("variable", [None, "/nowhere"])
def test_without_a_file_the_error_says_in_one_line_where_to_get_it(monkeypatch, variable):
    if variable is None:
        monkeypatch.delenv("MEMGYM_DATA", raising=False)
    else:
        monkeypatch.setenv("MEMGYM_DATA", variable)
    with pytest.raises(FileNotFoundError, match=r"locomo10\.json.* at commit 3eb6f2c.*CC BY-NC 4\.0") as error:
        LoCoMo()
    assert "\n" not in str(error.value)


def change(records: list[dict], where: tuple, value) -> None:
    target = records[0]
    for key in where[:-1]:
        target = target[key]
    target[where[-1]] = value


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("sample_id",), 3, "record 0: 'sample_id' is int, expected str"),
        (("conversation",), None, "conv-41: 'conversation' is NoneType, expected dict"),
        (("conversation", "session_2"), "text", "conv-41: 'session_2' is str, expected list"),
        (("conversation", "session_2", 1), {"text": "x"}, r"session_2\[1\]: 'dia_id' is NoneType"),
        (("conversation", "session_2_date_time"), "May 2023", "LoCoMo date 'May 2023'"),
        (("qa", 0), {"question": "Q?", "category": 1}, r"qa\[0\]: no 'answer'"),
        (("qa", 0), {"question": "Q?", "category": 7}, r"qa\[0\]: category '7', expected 1 to 5"),
        (("qa", 0), "Q?", r"qa\[0\]: category '', expected 1 to 5"),
    ],
)
def test_a_file_in_another_schema_is_refused_with_the_place(tmp_path, records, where, value, message):
    records = json.loads(json.dumps(records))
    change(records, where, value)
    (tmp_path / "other.json").write_text(json.dumps(records))
    with pytest.raises(ValueError, match=message):
        LoCoMo(tmp_path / "other.json")


@pytest.mark.parametrize(("text", "message"), [("[", "not a JSON file"), ("{}", "holds a dict, expected the list")])
def test_a_file_that_is_no_list_of_conversations_is_refused(tmp_path, text, message):
    (tmp_path / "other.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        LoCoMo(tmp_path / "other.json")


def test_a_hub_data_set_is_read_over_all_its_splits_with_none_for_absent_fields(monkeypatch, records, task):
    # Hub tables have the same columns in every row: what a row lacks is None.
    for record in records:
        for number in (1, 2, 10):
            record["conversation"].setdefault(f"session_{number}", None)
        for question in record["qa"]:
            question.setdefault("answer", None)
            question.setdefault("adversarial_answer", None)
    asked = []

    def load_dataset(name: str) -> dict[str, list[dict]]:
        asked.append(name)
        return {"first": records[:1], "second": records[1:]}

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_dataset=load_dataset))
    hub = LoCoMo("hf:owner/name", categories=ALL)
    assert asked == ["owner/name"]
    assert hub.episodes == task.episodes
    assert (hub.sha256, hub.verified, hub.traps) == ("", False, task.traps)


def test_a_hub_data_set_without_the_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ModuleNotFoundError, match=r"'hf:owner/name' needs the datasets package: pip install datasets"):
        LoCoMo("hf:owner/name")
