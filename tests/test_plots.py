"""The pictures of a run are written, and ask for what they need."""

import sys

import pytest

from memgym.evaluate import summarise
from memgym.plots import plot_scores, plot_training_curve
from memgym.rollout import Decision, Trajectory, TrajectoryStep

PNG = b"\x89PNG\r\n\x1a\n"


def summaries():
    def one(score):
        step = TrajectoryStep(0, Decision(()), [], {}, 0.0, score, {"total": 1})
        return Trajectory(0, "e", "p", [step], {"score": score, "answers": []})

    return {
        "no_memory": summarise([one(0.1)], floor=None, ceiling=None),
        "trained": summarise([one(0.4), one(0.6)], floor=None, ceiling=None),
    }


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [{"step": 1, "reward": 0.2}, {"step": 2, "reward": None}, {"step": 3, "reward": 0.4}],
        [{"step": 0, "eval_score": 0.1, "eval_floor": 0.05, "eval_ceiling": 0.9}, {"step": 4, "eval_score": 0.3}],
    ],
)
def test_a_training_curve_is_a_png_in_a_folder_of_its_own(tmp_path, rows):
    pytest.importorskip("matplotlib")
    path = tmp_path / "run" / "curve.png"
    plot_training_curve(rows, path)
    assert path.read_bytes().startswith(PNG)


def test_scores_are_a_png(tmp_path):
    pytest.importorskip("matplotlib")
    plot_scores(summaries(), tmp_path / "scores.png")
    assert (tmp_path / "scores.png").read_bytes().startswith(PNG)


def test_without_matplotlib_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'memgym\[plots\]'"):
        plot_scores(summaries(), tmp_path / "scores.png")
