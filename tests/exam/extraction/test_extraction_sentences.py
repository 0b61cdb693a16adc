"""How memory text is cut: lines, speakers, parts of speech, noun phrases."""

import pytest

from memgym.exam.extraction.sentences import read_text, tokenise


def phrases(text):
    (sentence,) = read_text(text)
    return [sentence.text[sentence.tokens[p.first].start : sentence.tokens[p.last - 1].end] for p in sentence.phrases]


def test_a_line_belongs_to_its_speaker_and_sentences_of_a_turn_stay_together():
    hello, moved, reply = read_text("Mara: Hello. I moved to Lund.\nAna: Great!")
    assert [s.speaker for s in (hello, moved, reply)] == ["mara", "mara", "ana"]
    assert hello.turn == moved.turn != reply.turn


def test_sentences_of_a_narration_stand_alone():
    first, second = read_text("Mara lives in Lund. Ana lives in Rome.")
    assert first.speaker == second.speaker == ""
    assert first.turn != second.turn


@pytest.mark.parametrize("stamp", ["[2023-05-08]", "2023-05-08T10:00", "(8 May 2023)", "2023-05-08:"])
def test_a_leading_date_becomes_the_time_of_the_line(stamp):
    (sentence,) = read_text(f"{stamp} Mara: I moved.")
    assert (sentence.speaker, sentence.text) == ("mara", "I moved.")
    assert sentence.timestamp.startswith(("2023-05-08", "8 May 2023"))


def test_titles_do_not_end_a_sentence():
    assert len(read_text("I saw Dr. Lind today. She is kind.")) == 2


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("My sister plays the cello", "SwVDw"),
        ("I collect board games", "PVww"),
        ("Mara's favourite work", "NMww"),
        ("I really love running", "PAVw"),
        ("we met on 3 May in Lund", "PVITTIN"),
    ],
)
def test_rough_parts_of_speech(text, kinds):
    assert "".join(token.kind for token in tokenise(text)) == kinds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tomas works at Lindgren & Sons", ["Tomas", "Lindgren & Sons"]),
        ("I read Letters from the Harbour", ["Letters from the Harbour"]),
        ("I drive a Volvo estate", ["Volvo estate"]),
        ("my boss Ines called", ["boss Ines", "Ines"]),
        ("she ran a marathon last week", ["marathon"]),
    ],
)
def test_noun_phrases(text, expected):
    assert phrases(text) == expected


def test_people_who_act_and_people_spoken_to_are_told_apart():
    (sentence,) = read_text("Ana, I think Mara left Oslo")
    assert [sentence.tokens[i].text for i in sorted(sentence.actors)] == ["Mara"]
    assert [sentence.tokens[i].text for i in sorted(sentence.addressed)] == ["Ana"]
