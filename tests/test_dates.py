"""Time expressions: what they mean on the day they are written, and how they read without it."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memgym.dates import find_dates, format_day, parse_timestamp, with_calendar_dates

MONDAY = "2017-07-17T10:00"


def answers(text, anchor=MONDAY):
    return [mention.answer for mention in find_dates(text, anchor)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("We met on 7 May 2017.", "7 May 2017"),
        ("We met on May 7th, 2017.", "7 May 2017"),
        ("We met on the 7th of May 2017.", "7 May 2017"),
        ("2017-05-07T12:30", "7 May 2017"),
        ("back in May 2021", "May 2021"),
        ("I have painted since 2016.", "2016"),
        ("on the 3rd of June", "3 June 2017"),
        ("until September 5", "5 September 2017"),
        ("on 28 December", "28 December 2017"),
        ("today", "17 July 2017"),
        ("I saw it yesterday morning.", "16 July 2017"),
        ("last night", "16 July 2017"),
        ("tonight", "17 July 2017"),
        ("tomorrow", "18 July 2017"),
        ("the day before yesterday", "15 July 2017"),
        ("the day after tomorrow", "19 July 2017"),
        ("3 days ago", "14 July 2017"),
        ("in five days", "22 July 2017"),
        ("a week ago", "10 July 2017"),
        ("two weeks ago", "3 July 2017"),
        ("in a couple of weeks", "31 July 2017"),
        ("a week from today", "24 July 2017"),
        ("two months ago", "May 2017"),
        ("ten years ago", "2007"),
        ("last Tuesday", "11 July 2017"),
        ("last Monday", "10 July 2017"),
        ("last Fri", "14 July 2017"),
        ("next Monday", "24 July 2017"),
        ("this Friday", "21 July 2017"),
        ("on Saturday we danced", "15 July 2017"),
        ("We will dance on Saturday", "22 July 2017"),
        ("this month", "July 2017"),
        ("next month", "August 2017"),
        ("last month", "June 2017"),
        ("last year", "2016"),
        ("last week", "The week before 17 July 2017"),
        ("this week", "The week of 17 July 2017"),
        ("next week", "The week after 17 July 2017"),
        ("this past weekend", "The weekend before 17 July 2017"),
        ("two weekends ago", "Two weekends before 17 July 2017"),
        ("a few days ago", "A few days before 17 July 2017"),
        ("last summer", "The summer of 2016"),
        ("this summer", "The summer of 2017"),
        ("next spring", "The spring of 2018"),
        ("in March", "March 2017"),
        ("in December", "December 2017"),
        ("last December", "December 2016"),
    ],
)
def test_time_expressions_are_resolved_against_the_day_of_writing(text, expected):
    assert answers(text) == [expected]


@pytest.mark.parametrize(
    ("text", "loose"),
    [
        ("last Sunday", "The Sunday before 17 July 2017"),
        ("next Friday", "The Friday after 17 July 2017"),
        ("a week ago", "The week before 17 July 2017"),
        ("two weeks ago", "Two weeks before 17 July 2017"),
        ("in three weeks", "Three weeks after 17 July 2017"),
        ("yesterday", "16 July 2017"),
        ("last week", "The week before 17 July 2017"),
    ],
)
def test_the_loose_form_leaves_weekdays_and_weeks_relative(text, loose):
    assert [mention.loose for mention in find_dates(text, MONDAY)] == [loose]


def test_months_roll_over_the_year():
    assert answers("last month", "2018-01-09") == ["December 2017"]
    assert answers("next month", "2017-12-31") == ["January 2018"]
    assert answers("in December", "2018-01-09") == ["December 2017"]
    assert answers("on 30 December", "2018-01-09") == ["30 December 2017"]


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
    text = "Yesterday I swam; on 3 June 2016 I could not."
    first, second = find_dates(text, MONDAY)
    assert (text[first.start : first.end], first.day) == ("Yesterday", date(2017, 7, 16))
    assert (text[second.start : second.end], second.day) == ("3 June 2016", date(2016, 6, 3))


def test_a_day_without_its_year_says_so():
    assert [mention.yearless for mention in find_dates("born on 13 August", MONDAY)] == ["13 August"]
    assert [mention.yearless for mention in find_dates("born on 13 August 1990", MONDAY)] == [""]


@pytest.mark.parametrize(
    ("timestamp", "day"),
    [
        ("2017-05-08T13:56", date(2017, 5, 8)),
        ("2017-05-08", date(2017, 5, 8)),
        ("8 May 2017", date(2017, 5, 8)),
        ("1:56 pm on 8 May, 2017", date(2017, 5, 8)),
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


SPRING = "2023-05-08T13:56"
DATED = [
    ("I went yesterday and ran.", "I went yesterday (7 May 2023) and ran."),
    ("We met the day before yesterday.", "We met the day before yesterday (6 May 2023)."),
    ("Next month I sail.", "Next month (June 2023) I sail."),
    ("We camped last week.", "We camped last week (the week before 8 May 2023)."),
    ("It was on 3 March 2011.", "It was on 3 March 2011."),
    ("Yesterday, and last year.", "Yesterday (7 May 2023), and last year (2022)."),
    ("Nothing of that kind.", "Nothing of that kind."),
]


@pytest.mark.parametrize(("text", "dated"), DATED)
def test_relative_dates_are_followed_by_the_calendar_date(text, dated):
    assert with_calendar_dates(text, SPRING) == dated
    assert with_calendar_dates(text, "") == text


@pytest.mark.parametrize("dated", [dated for _, dated in DATED])
def test_a_date_that_has_its_calendar_date_gets_no_other_one_later(dated):
    assert with_calendar_dates(dated, "2019-01-31") == dated


def test_brackets_without_a_date_are_no_calendar_date():
    text = "I ran yesterday (with Bo)."
    assert with_calendar_dates(text, SPRING) == "I ran yesterday (7 May 2023) (with Bo)."


@pytest.mark.parametrize(
    "text",
    [
        "The next day we left.",
        "On this day I am happy.",
        "It was built in a day.",
        "We met in 2020 and a year later we moved.",
        "Every Friday I swim.",
        "I ran yesterday(7 May 2023).",
        "It fell 150 years ago (1873).",
    ],
)
def test_a_time_that_is_none_of_the_calendar_or_has_its_date_gets_none(text):
    assert with_calendar_dates(text, SPRING) == text


def test_the_date_of_a_possessive_stands_behind_it():
    assert with_calendar_dates("Today's run was fun.", SPRING) == "Today's (8 May 2023) run was fun."
    assert with_calendar_dates("Last week’s run", SPRING) == "Last week’s (the week before 8 May 2023) run"


def test_a_weekday_with_its_day_gets_the_date_of_the_day_alone():
    assert with_calendar_dates("See you Friday, 12 May.", SPRING) == "See you Friday, 12 May (12 May 2023)."


PHRASES = [text for text, _ in DATED] + [
    "today's walk",
    "150 years ago",
    "in 80 years",
    "(next week)",
    "on Friday, maybe",
]


@given(st.lists(st.sampled_from(PHRASES), min_size=1, max_size=4), st.dates(date(1950, 1, 1), date(2049, 12, 31)))
def test_dating_a_text_again_on_another_day_changes_nothing(phrases, day):
    once = with_calendar_dates(" ".join(phrases), day.isoformat())
    assert with_calendar_dates(once, day.isoformat()) == once
    assert with_calendar_dates(once, "2023-01-31") == once
