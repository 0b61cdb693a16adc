import json
import os
from pathlib import Path

import pytest

from memgym.tasks.locomo import LoCoMo
from memgym.tasks.locomo_facts import read_annotated_facts


def conversation(observation) -> dict:
    turns = [{"speaker": "Ulla", "dia_id": f"D1:{n}", "text": f"Pier {n}."} for n in (1, 2, 3)]
    talk = {"speaker_a": "Ulla", "speaker_b": "Per", "session_1": turns}
    return {
        "sample_id": "conv-26",
        "conversation": talk | {"session_1_date_time": "9:00 am on 2 March, 2023"},
        "observation": observation,
        "qa": [],
    }


@pytest.fixture
def write(tmp_path):
    def to_file(observation):
        path = tmp_path / "locomo10.json"
        path.write_text(json.dumps([conversation(observation)]), encoding="utf-8")
        return path

    return to_file


def test_facts_come_in_the_order_of_their_turns_with_ids_and_time(write):
    path = write(
        {
            "session_1_observation": {
                "Ulla": [["Ulla saw  pier 3.", "D1:3"], ["Ulla saw two piers.", ["D1:2", "D1:3"]]],
                "Per": [["Per heard of pier 1.", "D1:1; D1:2"], ["Nobody said so.", "D9:9"]],
            },
            "session_2_observation": None,
        }
    )
    facts = read_annotated_facts(path)["conv-26"]
    assert [(fact.text, fact.turn_ids) for fact in facts] == [
        ("Per heard of pier 1.", ("D1:1", "D1:2")),
        ("Ulla saw two piers.", ("D1:2", "D1:3")),
        ("Ulla saw pier 3.", ("D1:3",)),
    ]
    assert {fact.timestamp for fact in facts} == {"2023-03-02T09:00"}


@pytest.mark.parametrize("observation", [None, {"session_1_observation": {"Per": ["Per was there."]}}])
def test_a_file_without_such_annotations_is_in_another_schema(write, observation):
    with pytest.raises(ValueError, match="this is not the LoCoMo schema"):
        read_annotated_facts(write(observation))


def test_the_published_file_has_facts_of_every_conversation():
    root = Path(os.environ.get("MEMGYM_DATA") or Path(__file__).parents[3] / "shared" / "data")
    if not (root / "locomo" / "locomo10.json").is_file():
        pytest.skip("LoCoMo is not there")
    facts = read_annotated_facts(root / "locomo")
    assert (len(facts), len(facts["conv-26"]), len(facts["conv-30"])) == (10, 184, 169)
    turns = {turn.id for turn in LoCoMo(root / "locomo", split="train").episodes[0].turns}
    assert {id_ for fact in facts["conv-26"] for id_ in fact.turn_ids} <= turns
