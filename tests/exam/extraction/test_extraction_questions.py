"""What a question is read as: kind, person, relation, words that count, time of the value."""

from datetime import date

import pytest

from memgym.exam.extraction.questions import read_question


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("When did Mara move?", "date"),
        ("How long ago did Mara move?", "date"),
        ("What is Mara's birthday?", "date"),
        ("In which month did Mara move?", "month"),
        ("What year was it?", "year"),
        ("At what time does Mara get up?", "clock"),
        ("When does Mara's shift start?", "clock"),
        ("How long has Mara lived here?", "duration"),
        ("How many days passed between the move and the party?", "interval"),
        ("How many dogs does Mara have?", "number"),
        ("How old is Mara?", "number"),
        ("Who is Mara's boss?", "person"),
        ("Which doctor does Mara see?", "person"),
        ("What is Mara's dog called?", "name"),
        ("Where does Mara live?", "place"),
        ("Which town does Mara live in?", "place"),
        ("What kind of place does Mara live in?", "thing"),
        ("Why did Mara move?", "reason"),
        ("What does Mara collect?", "thing"),
        ("How does Mara get to work?", "thing"),
        ("Did Mara move?", "yes_no"),
        ("Does Mara drink tea or coffee?", "choice"),
        ("Do you remember where Mara lives?", "place"),
        ("Mara's hobby", "thing"),
        ("", "thing"),
    ],
)
def test_kind_of_answer(question, kind):
    assert read_question(question).kind == kind


@pytest.mark.parametrize(
    ("question", "subjects", "relation"),
    [
        ("Where does Mara live?", {"mara"}, ()),
        ("Where did Mara and Ana meet?", {"mara", "ana"}, ()),
        ("What is Mara's sister's job?", {"mara"}, ("sister",)),
        ("Which car does Lars' gym partner drive?", {"lars"}, ("gym", "partner")),
        ("What is the weather like?", set(), ()),
    ],
)
def test_whom_it_is_about(question, subjects, relation):
    reading = read_question(question)
    assert (reading.subjects, reading.relation) == (subjects, relation)


def test_names_weigh_more_and_light_verbs_less_than_other_words():
    weights = {term.stem: term.weight for term in read_question("When did Mara take the tram to Oslo?").terms}
    assert weights["take"] < weights["tram"] < weights["oslo"]
    assert "mara" not in weights


@pytest.mark.parametrize(
    ("question", "epoch"),
    [
        ("Where does Mara live?", "current"),
        ("Where did Mara end up these days?", "current"),
        ("Where did Mara live before Oslo?", "previous"),
        ("What did Mara cook first?", "first"),
        ("What did Mara cook most recently?", "last"),
        ("What did Mara cook?", "any"),
    ],
)
def test_which_value_in_time(question, epoch):
    assert read_question(question).epoch == epoch


def test_a_value_that_is_not_the_answer_is_excluded():
    reading = read_question("What was Mara's hobby before chess?")
    assert reading.excluded == {"chess"}
    assert "chess" not in {term.stem for term in reading.terms}


@pytest.mark.parametrize(
    ("question", "days"),
    [
        ("What did Mara cook on 3 May 2023?", (date(2023, 5, 3), date(2023, 5, 3))),
        ("What did Mara cook in May 2023?", (date(2023, 5, 1), date(2023, 5, 28))),
        ("What did Mara cook in 2023?", (date(2023, 1, 1), date(2023, 12, 31))),
    ],
)
def test_dates_in_the_question_become_ranges(question, days):
    assert read_question(question).days == (days,)


def test_a_stranded_preposition_is_kept():
    assert read_question("What is Mara saving for now?").stranded == "for"
    assert read_question("What does Mara collect?").stranded == ""
