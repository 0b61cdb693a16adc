"""Time expressions: what they mean on the day they are written, and how they read without it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.exam.dates import find_dates, format_day, parse_timestamp

MONDAY = "2023-07-17T10:00"


def answers(text, anchor=MONDAY):
    return [mention.answer for mention in find_dates(text, anchor)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We met on 7 May 2023.", "7 May 2023"),
        ("We met on May 7th, 2023.", "7 May 2023"),
        ("We met on the 7th of May 2023.", "7 May 2023"),
        ("2023-05-07T12:30", "7 May 2023"),
        ("back in May 2021", "May 2021"),
        ("I have painted since 2016.", "2016"),
        ("on the 3rd of June", "3 June 2023"),
        ("until September 5", "5 September 2023"),
        ("on 28 December", "28 December 2023"),
        ("today", "17 July 2023"),
        ("I saw it yesterday morning.", "16 July 2023"),
        ("last night", "16 July 2023"),
        ("tonight", "17 July 2023"),
        ("tomorrow", "18 July 2023"),
        ("the day before yesterday", "15 July 2023"),
        ("the day after tomorrow", "19 July 2023"),
        ("3 days ago", "14 July 2023"),
        ("in five days", "22 July 2023"),
        ("a week ago", "10 July 2023"),
        ("two weeks ago", "3 July 2023"),
        ("in a couple of weeks", "31 July 2023"),
        ("a week from today", "24 July 2023"),
        ("two months ago", "May 2023"),
        ("ten years ago", "2013"),
        ("last Tuesday", "11 July 2023"),
        ("last Monday", "10 July 2023"),
        ("last Fri", "14 July 2023"),
        ("next Monday", "24 July 2023"),
        ("this Friday", "21 July 2023"),
        ("on Saturday we danced", "15 July 2023"),
        ("We will dance on Saturday", "22 July 2023"),
        ("this month", "July 2023"),
        ("next month", "August 2023"),
        ("last month", "June 2023"),
        ("last year", "2022"),
        ("last week", "The week before 17 July 2023"),
        ("this week", "The week of 17 July 2023"),
        ("next week", "The week after 17 July 2023"),
        ("this past weekend", "The weekend before 17 July 2023"),
        ("two weekends ago", "Two weekends before 17 July 2023"),
        ("a few days ago", "A few days before 17 July 2023"),
        ("last summer", "The summer of 2022"),
        ("this summer", "The summer of 2023"),
        ("next spring", "The spring of 2024"),
        ("in March", "March 2023"),
        ("in December", "December 2023"),
        ("last December", "December 2022"),
    ],
)
def test_time_expressions_are_resolved_against_the_day_of_writing(text, expected):
    assert answers(text) == [expected]


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("last Sunday", "The Sunday before 17 July 2023"),
        ("next Friday", "The Friday after 17 July 2023"),
        ("a week ago", "The week before 17 July 2023"),
        ("two weeks ago", "Two weeks before 17 July 2023"),
        ("in three weeks", "Three weeks after 17 July 2023"),
        ("yesterday", "16 July 2023"),
        ("last week", "The week before 17 July 2023"),
    ],
)
def test_the_loose_form_leaves_weekdays_and_weeks_relative(text, loose):
    assert [mention.loose for mention in find_dates(text, MONDAY)] == [loose]


def test_months_roll_over_the_year():
    assert answers("last month", "2024-01-09") == ["December 2023"]
    assert answers("next month", "2023-12-31") == ["January 2024"]
    assert answers("in December", "2024-01-09") == ["December 2023"]
    assert answers("on 30 December", "2024-01-09") == ["30 December 2023"]


@pytest.mark.parametrize("text", ["last Tuesday", "two weeks ago", "tomorrow", "last summer"])
def test_without_an_anchor_a_relative_expression_stays_as_it_stands(text):
    (mention,) = find_dates(f"It was {text}, I think")
    assert (mention.answer, mention.loose, mention.day) == (text, text, None)


@pytest.mark.parametrize(
    "text",
    [
        "I may go",
        "a long march",
        "she sat in the sun",
        "it cost $2000",
        "12,000 people",
        "room 12",
        "on 31 June",
        "at 7:30",
        "a decade of work",
        "",
    ],
)
def test_what_only_looks_like_a_date_is_left_alone(text):
    assert find_dates(text, MONDAY) == ()


def test_mentions_keep_their_place_order_and_day():
    text = "Yesterday I swam; on 3 June 2022 I could not."
    first, second = find_dates(text, MONDAY)
    assert (text[first.start : first.end], first.day) == ("Yesterday", date(2023, 7, 16))
    assert (text[second.start : second.end], second.day) == ("3 June 2022", date(2022, 6, 3))


def test_a_day_without_its_year_says_so():
    assert [mention.yearless for mention in find_dates("born on 13 August", MONDAY)] == ["13 August"]
    assert [mention.yearless for mention in find_dates("born on 13 August 1990", MONDAY)] == [""]


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        ("2023-05-08T13:56", date(2023, 5, 8)),
        ("2023-05-08", date(2023, 5, 8)),
        ("8 May 2023", date(2023, 5, 8)),
        ("1:56 pm on 8 May, 2023", date(2023, 5, 8)),
        ("yesterday", None),
        ("soon", None),
        ("", None),
    ],
)
def test_timestamps_of_any_form_are_read(timestamp, day):
    assert parse_timestamp(timestamp) == day


@pytest.mark.parametrize("anchor", ["0001-01-01", "9999-12-31"])
@pytest.mark.parametrize("text", ["in 20 years", "2 days ago", "last month", "next week", "99999999999 days ago"])
def test_shifts_beyond_the_calendar_do_not_raise(text, anchor):
    assert all(mention.answer for mention in find_dates(text, anchor))


@given(st.dates(min_value=date(1950, 1, 1), max_value=date(2049, 12, 31)))
def test_a_formatted_day_is_found_again(day):
    (mention,) = find_dates(f"It happened on {format_day(day)}.")
    assert mention.day == day
    assert mention.answer == format_day(day)
