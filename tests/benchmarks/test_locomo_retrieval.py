"""The retrieval benchmark on an invented file in LoCoMo's schema."""

import json

import numpy as np
import pytest

from agents import encoder as encoder_module
from benchmarks import locomo_retrieval

TURNS = ["My cat is called Moss.", "I bake bread.", "I bought a bike.", "I bake bread."]


class Synonyms:
    """Bicycles are bikes."""

    name, dimension = "synonyms", 3

    def __init__(self, name):
        self.names = {"bi", "cat", name}

    def encode(self, texts):
        return np.array([["bi" in text, "Moss" in text, 0.1] for text in texts], dtype=float)


@pytest.fixture
def file(tmp_path):
    session = [{"speaker": "Ann", "dia_id": f"D1:{i + 1}", "text": text} for i, text in enumerate(TURNS)]
    questions = [
        {"question": "Who bakes?", "answer": "Ann", "evidence": ["D1:2", "D1:4"], "category": 1},
        {"question": "Any bicycles?", "answer": "one", "evidence": ["D1:3"], "category": 4},
        {"question": "Why?", "answer": "no evidence", "evidence": [], "category": 3},
    ]
    conversation = {"session_1": session, "session_1_date_time": "9:00 am on 2 March, 2023"}
    record = {"sample_id": "conv-26", "conversation": conversation, "qa": questions}
    path = tmp_path / "locomo10.json"
    path.write_text(json.dumps([record]), encoding="utf-8")
    return path


def run(file, *arguments):
    figures = file.with_name("figures.json")
    locomo_retrieval.main(["--data", str(file), "--json", str(figures), *arguments])
    return json.loads(figures.read_text(encoding="utf-8"))


@pytest.mark.filterwarnings("ignore")  # the loader says that this is not the published file
def test_every_search_is_measured_on_the_same_questions(file, monkeypatch, capsys):
    monkeypatch.setattr(encoder_module, "TextEncoder", Synonyms)
    figures = run(file)
    assert (figures["questions"], figures["encoder"], figures["verified"]) == (2, "synonyms", False)
    recall = {name: part["recall_at_10_by_category"] for name, part in figures["retrieval"].items()}
    words, vectors = {"1": 1.0, "4": 0.0}, {"1": 1.0, "4": 1.0}
    assert recall.pop("bm25") == words
    assert recall.pop("dense") == recall.pop("hybrid") == vectors
    first = {name: part["recall"]["1"] for name, part in figures["retrieval"].items()}
    assert (first["bm25"], first["dense"], first["hybrid"]) == (0.5, 1.0, 1.0)
    sizes = {name: part["bank_mb"] for name, part in figures["retrieval"].items()}
    assert sizes["bm25"] < sizes["dense"] == sizes["hybrid"]
    assert "| @10 | 0.5000 |" in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore")
def test_a_split_and_the_number_of_neighbours_can_be_chosen(file):
    """What is asked for stands two turns after the only word of the question."""
    record = json.loads(file.read_text(encoding="utf-8"))[0]
    record["qa"] = [{"question": "Moss?", "answer": "one", "evidence": ["D1:3"], "category": 4}]
    file.write_text(json.dumps([record]), encoding="utf-8")
    found = {
        count: run(file, "--encoder", "none", "--split", "train", "--neighbours", str(count))["retrieval"]
        for count in (1, 2)
    }
    assert [found[count]["bm25, neighbours"]["recall"]["5"] for count in (1, 2)] == [0.0, 1.0]
    assert found[2]["bm25"]["recall"]["5"] == 0.0


@pytest.mark.filterwarnings("ignore")
def test_without_an_encoder_only_bm25_is_measured(file):
    figures = run(file, "--encoder", "none")
    assert figures["encoder"] is None
    assert list(figures["retrieval"]) == ["bm25", "bm25, neighbours"]
    assert set(figures["retrieval"]["bm25"]) >= set(locomo_retrieval.COSTS)
