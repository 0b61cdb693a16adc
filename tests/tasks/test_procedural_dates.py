"""Procedural dialogues: dates as people say them, resolved."""

from datetime import date, timedelta
from random import Random

import pytest

from memgym.dates import find_dates
from memgym.tasks.procedural.dates import WEEKDAYS, When, duration_answers, future, past


def drawn(draw, today, count=400):
    rng = Random(f"dates:{today}")
    return [draw(rng, today) for _ in range(count)]


TODAYS = [date(2023, 5, 8), date(2024, 1, 3), date(2023, 12, 30), date(2024, 2, 29)]


def test_days_and_months_are_written_as_the_golds_of_locomo():
    assert When("yesterday", date(2023, 5, 7)).answers == ("7 May 2023", "May 7, 2023", "2023-05-07")
    assert When("next month", date(2023, 6, 1), whole_month=True).answers == ("June 2023", "2023-06")
    assert When("yesterday", date(2023, 5, 7)).stated == "on 7 May 2023"
    assert When("next month", date(2023, 6, 1), whole_month=True).stated == "in June 2023"


@pytest.mark.parametrize("today", TODAYS)
def test_past_and_future_lie_on_their_side_of_today(today):
    assert all(when.first < today for when in drawn(past, today))
    assert all(when.first > today for when in drawn(future, today))


@pytest.mark.parametrize("today", TODAYS)
@pytest.mark.parametrize("draw", [past, future])
def test_a_weekday_is_the_nearest_one_on_that_side(draw, today):
    found = 0
    for when in drawn(draw, today):
        named = [day for day in WEEKDAYS if day in when.phrase]
        if named:
            found += 1
            assert WEEKDAYS[when.first.weekday()] == named[0]
            assert abs(when.first - today) < timedelta(days=7)
    assert found > 20


@pytest.mark.parametrize("today", TODAYS)
@pytest.mark.parametrize("draw", [past, future])
def test_the_extractive_reader_resolves_every_phrase_to_the_same_date(draw, today):
    for when in drawn(draw, today):
        mentions = find_dates(f"I went there {when.phrase}.", today.isoformat())
        assert [mention.answer for mention in mentions] == [when.resolved], when.phrase


def test_the_year_is_said_where_it_is_not_the_sessions():
    for when in drawn(past, date(2024, 1, 3)):
        if when.phrase.startswith("on ") and when.first.year == 2023:
            assert "2023" in when.phrase


def test_phrases_vary():
    assert len({when.phrase for when in drawn(past, date(2023, 5, 8))}) > 40
    assert len({when.phrase for when in drawn(future, date(2023, 5, 8))}) > 40


@pytest.mark.parametrize(
    ("days", "answers"),
    [
        (1, ("1 day", "1", "one day")),
        (5, ("5 days", "5", "five days")),
        (14, ("14 days", "14", "2 weeks")),
        (7, ("7 days", "7", "seven days", "1 week")),
        (30, ("30 days", "30")),
    ],
)
def test_durations_accept_digits_words_and_weeks(days, answers):
    assert duration_answers(days) == answers


def test_a_month_overlaps_its_days():
    may = When("last month", date(2023, 5, 1), whole_month=True)
    assert may.overlaps(When("on 9 May", date(2023, 5, 9)))
    assert not may.overlaps(When("on 9 June", date(2023, 6, 9)))
    assert not When("a", date(2023, 5, 8)).overlaps(When("b", date(2023, 5, 9)))
