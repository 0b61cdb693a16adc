"""Golden vectors of the answer metrics and, where the data is present, of the LoCoMo scorer on its data set."""

import json
import os
from pathlib import Path

import pytest

from memgym.exam import metrics
from memgym.exam.metrics import METRICS, exact_match, score, scored_golds

ABSTAIN = "No information available"
TEA_TIME = "by setting out some tea-time each week for pastimes like swimming, drawing, or mending the kite"
GARDENER = "Likely no; though she likes sailing, she hopes to be a gardener"
FOUR = "archery, baking, chess, diving"


@pytest.mark.parametrize(
    ("text", "locomo", "squad"),
    [
        ("The Cat, and the hat!", "cat hat", "cat and hat"),
        ("10,000 dollars", "10000 dollars", "10000 dollars"),
        ("2022-05-07", "20220507", "20220507"),
        ("Dr. Novak's", "dr novaks", "dr novaks"),
        ("rock-and-roll", "rockandroll", "rockandroll"),
        ("U.S.A.", "usa", "usa"),
        ("A and an and THE", "", "and and"),
        ("café, naïve", "café naïve", "café naïve"),
    ],
)
def test_normalisation(text, locomo, squad):
    assert metrics.locomo_normalize(text) == locomo
    assert metrics.squad_normalize(text) == squad


@pytest.mark.parametrize(
    ("prediction", "gold", "locomo", "set_f1", "squad"),
    [
        ("She visited pottery galleries", "Pottery galleries", 0.666667, 0.666667, 0.666667),
        ("4 March 2021", "The monday before 19 March 2021", 0.5, 0.444444, 0.5),
        ("Swimming, drawing and mending the kite", TEA_TIME, 0.421053, 0.454545, 0.4),
        ("painting", "paintings", 1.0, 0, 0),
        ("University", "universe", 1.0, 0, 0),
        ("She went hiking", "hike", 0.5, 0, 0),
        ("cats cats dog", "cat dog dog", 0.666667, 0.5, 0.333333),
        ("Likely no", GARDENER, 0.307692, 0.153846, 0.307692),
        ("the", "the", 0, 1.0, 1.0),
        ("", "x", 0, 0, 0),
        ("", "", 0, 0, 1.0),
    ],
)
def test_f1_variants_differ(prediction, gold, locomo, set_f1, squad):
    assert score("locomo_4", prediction, [gold]) == pytest.approx(locomo, abs=1e-6)
    assert score("locomo_2", prediction, [gold]) == pytest.approx(locomo, abs=1e-6)
    assert score("set_f1", prediction, [gold]) == pytest.approx(set_f1, abs=1e-6)
    assert score("squad_f1", prediction, [gold]) == pytest.approx(squad, abs=1e-6)


@pytest.mark.parametrize(
    ("prediction", "gold", "multi", "plain"),
    [
        ("archery, baking, chess", FOUR, 0.75, 0.857143),
        ("archery baking chess diving", FOUR, 0.4, 1.0),
        ("chess, archery", "archery, chess", 1.0, 1.0),
        ("archery", "archery, baking", 0.5, 0.666667),
        ("archery, baking, rowing, skiing", "archery, baking", 1.0, 0.666667),
        ("Yes, 3 kids", "3", 0.666667, 0.5),
    ],
)
def test_locomo_category_1_scores_lists_part_by_part(prediction, gold, multi, plain):
    assert score("locomo_1", prediction, [gold]) == pytest.approx(multi, abs=1e-6)
    assert score("locomo_4", prediction, [gold]) == pytest.approx(plain, abs=1e-6)


def test_locomo_category_3_cuts_the_gold_at_the_semicolon():
    assert score("locomo_3", "Likely no", [GARDENER]) == 1.0
    assert score("locomo_3", GARDENER, [GARDENER]) < 1.0


@pytest.mark.parametrize("metric", ["locomo_5", "abstain"])
@pytest.mark.parametrize(
    ("prediction", "expected"),
    [(ABSTAIN, 1), ("It is NOT MENTIONED anywhere.", 1), ("Lund", 0), ("", 0), ("not stated", 0)],
)
def test_abstention_is_recognised_by_its_phrase(metric, prediction, expected):
    assert score(metric, prediction, ["anything"]) == expected


@pytest.mark.parametrize(
    "pair",
    [
        *("agencies agenc", "adoption adopt", "running run", "activities activ", "universities univers"),
        *("happily happili", "painting paint", "paintings paint", "ponies poni", "caresses caress"),
        *("generalization gener", "relational relat", "sky sky", "counselor counselor", "2023 2023"),
    ],
)
def test_porter_stems(pair):
    word, stem = pair.split()
    assert metrics.porter_stem(word) == stem


@pytest.mark.parametrize(
    ("prediction", "gold", "em", "f1", "substring"),
    [
        ("The Answer: 42!", "answer 42", 1, 1.0, 1),
        ("The quick, brown fox", "quick brown foxes", 0, 0.666667, 0),
        ("a", "the", 1, 1.0, 1),
        ("", "", 1, 1.0, 1),
        ("rock-and-roll", "rock and roll", 0, 0, 0),
        ("yes, it is", "yes", 0, 0.5, 1),
        ("I don't know", "dont know", 0, 0.8, 1),
        ("I know", "no", 0, 0, 1),
    ],
)
def test_squad_family(prediction, gold, em, f1, substring):
    assert score("squad_em", prediction, [gold]) == em
    assert score("squad_f1", prediction, [gold]) == pytest.approx(f1, abs=1e-6)
    assert score("em_or_f1", prediction, [gold]) == pytest.approx(max(em, f1), abs=1e-6)
    assert score("substring_em", prediction, [gold]) == substring


@pytest.mark.parametrize(
    ("prediction", "gold", "expected"),
    [("yes, it is", "yes", 0.0), ("yes", "yes", 1.0), ("no", "noanswer", 0.0), ("blue car", "blue bike", 0.5)],
)
def test_drqa_f1_gives_no_credit_for_a_diluted_yes_or_no(prediction, gold, expected):
    assert score("drqa_f1", prediction, [gold]) == expected


BLEU = [
    ("pottery galleries", "Pottery galleries", 1.0),
    ("She visited pottery galleries", "Pottery galleries", 0.5),
    ("galleries", "Pottery galleries", 0.367879),
    ("4 march 2021", "The monday before 19 March 2021", 0.245253),
    ("the the the the", "the cat", 0.25),
    ("zebra", "pottery galleries", 0),
    ("", "pottery galleries", 0),
]


@pytest.mark.parametrize(("prediction", "gold", "expected"), BLEU)
def test_bleu1(prediction, gold, expected):
    assert score("bleu1", prediction, [gold]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("prediction", "gold"), [(p, g) for p, g, _ in BLEU] + [("Well, yes!", "well: yes, it is.")])
def test_bleu1_equals_nltk(prediction, gold):
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    tokens = [metrics._BLEU_TOKENS.findall(text.lower()) for text in (gold, prediction)]
    smoothing = SmoothingFunction().method1
    reference = sentence_bleu([tokens[0]], tokens[1], weights=(1, 0, 0, 0), smoothing_function=smoothing)
    assert score("bleu1", prediction, [gold]) == pytest.approx(reference, abs=1e-9)


@pytest.mark.parametrize("metric", [name for name in METRICS if name not in ("abstain", "locomo_5")])
def test_every_metric_takes_the_best_gold(metric):
    assert score(metric, "green tea", ["black coffee", "green tea"]) == 1.0
    assert score(metric, "green tea", ["black coffee"]) == 0.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("prediction", ["", " ", ",,,", "a, the", "\u200b", "x" * 5000, "é;ü"])
def test_no_prediction_raises_or_leaves_the_unit_interval(metric, prediction):
    assert 0.0 <= score(metric, prediction, ["tea, coffee", ";", ""]) <= 1.0


@pytest.mark.parametrize("metric", [name for name in METRICS if name != "locomo_3"])
def test_only_the_explanation_of_an_open_domain_gold_is_not_scored(metric):
    golds = ["LIkely no; though she likes, she says", "no"]
    assert scored_golds("locomo_3", golds) == ("LIkely no", "no")
    assert scored_golds(metric, golds) == tuple(golds)


@pytest.mark.parametrize(
    ("metric", "prediction", "expected"),
    [
        ("locomo_3", "Likely no", 1.0),
        ("locomo_3", "no!", 1.0),
        ("locomo_3", "Likely no; though she likes it", 0.0),
        ("locomo_4", "Likely no", 0.0),
        ("locomo_4", "Likely no; though she likes it", 1.0),
    ],
)
def test_an_exact_match_is_of_what_the_metric_scores(metric, prediction, expected):
    assert exact_match(metric, prediction, ["LIkely no; though she likes it", "no"]) == expected


def test_an_unknown_metric_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r"unknown metric 'f1'.*squad_f1"):
        score("f1", "x", ["x"])


def test_wrong_golds_are_refused():
    with pytest.raises(TypeError, match="one string"):
        score("squad_f1", "x", "x")
    with pytest.raises(ValueError, match="empty"):
        score("squad_f1", "x", [])


# --- a constant and the gold itself on a small fixture with the traps of LoCoMo, then on LoCoMo ---

FIXTURE = [
    {"category": 1, "answer": "reed baskets, clay"},
    {"category": 2, "answer": 2022},
    {"category": 3, "answer": "Likely yes; she said so in spring"},
    {"category": 4, "answer": "No information, really"},
    {"category": 5, "adversarial_answer": "a lighthouse"},
]


def mean_scores(items, answer):
    scores: dict[int, list[float]] = {}
    for item in items:
        gold = str(item.get("answer", item.get("adversarial_answer")))
        prediction = gold if answer is None else answer
        scores.setdefault(item["category"], []).append(score(f"locomo_{item['category']}", prediction, [gold]))
    return scores


def mean(values):
    return sum(values) / len(values)


def test_gold_against_itself_on_the_fixture():
    own = mean_scores(FIXTURE, None)
    assert [own[c] for c in (1, 2, 4, 5)] == [[1.0], [1.0], [1.0], [0.0]]
    assert own[3] == [pytest.approx(4 / 9)]


def test_constant_abstention_on_the_fixture():
    constant = mean_scores(FIXTURE, ABSTAIN)
    assert [constant[c] for c in (1, 2, 3, 5)] == [[0.0], [0.0], [0.0], [1.0]]
    assert constant[4] == [pytest.approx(2 / 3)]


@pytest.fixture(scope="module")
def locomo():
    root = os.environ.get("MEMGYM_DATA", Path(__file__).parents[3] / "shared" / "data")
    path = Path(root) / "locomo" / "locomo10.json"
    if not path.exists():
        pytest.skip(f"LoCoMo is not at {path}")
    return [item for sample in json.loads(path.read_text("utf-8")) for item in sample["qa"]]


def test_gold_against_itself_on_locomo(locomo):
    own = mean_scores(locomo, None)
    assert all(value == 1.0 for category in (1, 2, 4) for value in own[category])
    assert mean(own[3]) == pytest.approx(0.927383, abs=1e-6)
    assert min(own[3]) == pytest.approx(0.166667, abs=1e-6)
    assert sum(value < 1 for value in own[3]) == 11


def test_constant_abstention_on_locomo(locomo):
    constant = mean_scores(locomo, ABSTAIN)
    expected = {1: 0.007092, 2: 0.001558, 3: 0.035023, 4: 0.001070, 5: 1.0}
    assert {c: mean(values) for c, values in constant.items()} == pytest.approx(expected, abs=1e-6)
    assert mean([v for values in constant.values() for v in values]) == pytest.approx(0.227977, abs=1e-6)
    assert mean([v for c in (1, 2, 3, 4) for v in constant[c]]) == pytest.approx(0.004391, abs=1e-6)
