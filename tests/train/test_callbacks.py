import json
import math
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState

from train import callbacks
from train.callbacks import HeldOutEvaluation, MetricsFile, RewardBar, Watchdog, read_metrics


def state_at(step, *, first=True, max_steps=10):
    state = TrainerState(max_steps=max_steps, is_world_process_zero=first, is_local_process_zero=first)
    state.global_step = step
    return state


def call(callback, event, step, *, first=True, max_steps=10, **kwargs):
    getattr(callback, event)(None, state_at(step, first=first, max_steps=max_steps), TrainerControl(), **kwargs)


# --- metrics.jsonl ---------------------------------------------------------------------------------------------------


def test_every_log_is_a_row_with_its_step(tmp_path):
    metrics = MetricsFile(tmp_path / "run")
    call(metrics, "on_train_begin", 0)
    call(metrics, "on_log", 1, logs={"loss": 0.5, "reward": 1})
    call(metrics, "on_log", 2, logs={"loss": 0.25})
    assert read_metrics(tmp_path / "run" / "metrics.jsonl") == [
        {"step": 1, "loss": 0.5, "reward": 1},
        {"step": 2, "loss": 0.25},
    ]


def test_what_is_no_number_becomes_null(tmp_path):
    metrics = MetricsFile(tmp_path)
    call(metrics, "on_train_begin", 0)
    call(metrics, "on_log", 1, logs={"reward": math.nan, "loss": math.inf, "kl": None})
    text = metrics.path.read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"step": 1, "reward": None, "loss": None, "kl": None}


def test_a_new_run_starts_a_new_file(tmp_path):
    metrics = MetricsFile(tmp_path)
    call(metrics, "on_train_begin", 0)
    for step in (0, 1):
        call(metrics, "on_log", step, logs={"loss": 0.5})
    call(metrics, "on_train_begin", 0)
    assert read_metrics(metrics.path) == []


def test_a_resumed_run_keeps_the_rows_up_to_its_checkpoint_and_drops_later_ones(tmp_path):
    metrics = MetricsFile(tmp_path)
    call(metrics, "on_train_begin", 0)
    for step in range(5):
        call(metrics, "on_log", step, logs={"loss": step / 4})
    call(metrics, "on_train_begin", 2)
    assert [row["step"] for row in read_metrics(metrics.path)] == [0, 1, 2]


def test_a_line_cut_off_by_an_interruption_is_left_out(tmp_path):
    metrics = MetricsFile(tmp_path)
    metrics.path.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "lo')
    assert read_metrics(metrics.path) == [{"step": 1, "loss": 0.5}]
    call(metrics, "on_train_begin", 2)
    call(metrics, "on_log", 3, logs={"loss": 0.25})
    assert [row["step"] for row in read_metrics(metrics.path)] == [1, 3]


def test_only_the_first_process_writes(tmp_path):
    metrics = MetricsFile(tmp_path / "run")
    call(metrics, "on_train_begin", 0, first=False)
    call(metrics, "on_log", 1, first=False, logs={"loss": 0.5})
    assert not (tmp_path / "run").exists()


# --- Held-out evaluation ---------------------------------------------------------------------------------------------


class FakeTrainer:
    """As much of a trainer as ``Trainer.log`` needs; like the real one it takes the step's log for done."""

    def __init__(self):
        self.args = SimpleNamespace(include_num_input_tokens_seen="no")
        self.state = state_at(0)
        self.control = TrainerControl()
        self.callback_handler = self
        self.logged = []

    def on_log(self, args, state, control, logs):
        self.logged.append(logs)
        control.should_log = False
        return control


@pytest.fixture
def held_out():
    """A callback over scores 0, 1, 2, ..."""
    scores = iter(range(100))
    evaluation = HeldOutEvaluation(lambda: {"score": next(scores), "floor": 0.0}, every=4)
    evaluation.trainer = FakeTrainer()
    return evaluation


def test_the_curve_has_the_untrained_policy_every_nth_step_and_the_last(held_out):
    call(held_out, "on_train_begin", 0)
    steps = [0]
    for step in range(1, 11):
        before = len(held_out.trainer.logged)
        call(held_out, "on_step_end", step)
        steps += [step] * (len(held_out.trainer.logged) - before)
    assert steps == [0, 4, 8, 10]
    assert [logs["eval_score"] for logs in held_out.trainer.logged] == [0, 1, 2, 3]
    assert all(logs["eval_floor"] == 0.0 for logs in held_out.trainer.logged)


def test_an_evaluation_does_not_swallow_the_steps_own_log(held_out):
    held_out.trainer.control.should_log = True
    held_out.on_step_end(None, state_at(4), held_out.trainer.control)
    assert len(held_out.trainer.logged) == 1
    assert held_out.trainer.control.should_log is True


def test_a_resumed_run_does_not_grade_its_checkpoint_again(held_out):
    call(held_out, "on_train_begin", 4)
    assert held_out.trainer.logged == []


def test_an_evaluation_without_a_trainer_says_what_is_missing():
    with pytest.raises(ValueError, match="set its attribute `trainer`"):
        call(HeldOutEvaluation(dict, every=1), "on_train_begin", 0)


# --- Watchdog --------------------------------------------------------------------------------------------------------

BAD = {"truncated": 0.9, "parse_failures": 0.8, "frac_reward_zero_std": 1.0}


@pytest.fixture
def warnings(monkeypatch):
    said = []
    monkeypatch.setattr(callbacks.logger, "warning", said.append)
    return said


@pytest.mark.parametrize("name", BAD)
def test_a_share_that_stays_too_high_is_warned_about_once(warnings, name):
    watchdog = Watchdog()
    for step in range(1, 10):
        call(watchdog, "on_log", step, logs={name: BAD[name], "reward": 0.0})
        assert len(warnings) == (step >= Watchdog.PATIENCE)
    (warning,) = warnings
    assert warning.startswith(f"step {Watchdog.PATIENCE}: {name} is {BAD[name]:.2f}: ")
    assert "\n" not in warning


def test_every_cause_has_its_own_warning(warnings):
    watchdog = Watchdog()
    for step in range(1, 6):
        call(watchdog, "on_log", step, logs=BAD)
    assert [warning.split()[2] for warning in warnings] == list(BAD)


def test_one_good_log_starts_the_count_anew_and_rows_without_the_figure_do_not_count(warnings):
    watchdog = Watchdog()
    for share in (0.9, 0.9, 0.1, 0.9, None, 0.9, 0.5):
        call(watchdog, "on_log", 1, logs={} if share is None else {"truncated": share})
    assert warnings == []
    for share in (0.9, None, 0.9, None, 0.9):
        call(watchdog, "on_log", 1, logs={} if share is None else {"truncated": share})
    assert len(warnings) == 1


def test_other_processes_stay_silent(warnings):
    watchdog = Watchdog()
    for step in range(1, 6):
        call(watchdog, "on_log", step, first=False, logs=BAD)
    assert warnings == []


# --- The bar ---------------------------------------------------------------------------------------------------------


def test_the_bar_shows_the_latest_reward_and_scores_and_prints_no_log(capsys):
    bar = RewardBar()
    args = SimpleNamespace(disable_tqdm=True)
    shown = []
    bar.training_bar = SimpleNamespace(set_postfix=lambda figures: shown.append(dict(figures)))
    bar.on_log(args, state_at(1), TrainerControl(), logs={"reward": 0.5, "score": 0.25, "entropy": 3.0})
    bar.on_log(args, state_at(1), TrainerControl(), logs={"eval_score": 1, "reward": 0.75, "loss": None})
    assert shown == [
        {"reward": "0.500", "score": "0.250"},
        {"reward": "0.750", "score": "0.250", "eval_score": "1.000"},
    ]
    assert capsys.readouterr().out == ""
