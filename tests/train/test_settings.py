from dataclasses import dataclass, field
from typing import Any

import pytest

from train.settings import load_settings


@dataclass
class Inner:
    rank: int = 4
    ratio: float | None = None
    name: str = "small"


@dataclass
class Outer:
    steps: int = 10
    rate: float = 0.1
    resume: bool = False
    inner: Inner = field(default_factory=Inner)
    options: dict[str, Any] = field(default_factory=dict)


@pytest.fixture
def config(tmp_path):
    """Write YAML, get the arguments that read it."""

    def write(text: str, name: str = "config.yaml") -> list[str]:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return ["--config", str(path)]

    return write


def load(*argv: str) -> Outer:
    return load_settings(Outer, argv, "Trains.")


def error_of(*argv: str) -> str:
    """The one line that a mistake ends the program with."""
    with pytest.raises(SystemExit) as raised:
        load(*argv)
    message = str(raised.value.code)
    assert message.startswith("error: ")
    assert "\n" not in message
    return message


def test_without_arguments_everything_has_its_default():
    assert load() == Outer()
    assert load().options is not load().options


def test_a_file_fills_groups_and_leaves_the_rest(config):
    settings = load(*config("steps: 3\ninner: {rank: 8}\noptions: {a: {b: [1, 2]}}\n"))
    assert settings == Outer(steps=3, inner=Inner(rank=8), options={"a": {"b": [1, 2]}})


def test_an_empty_file_changes_nothing(config):
    assert load(*config("# nothing yet\n")) == Outer()


def test_settings_of_another_trainer_are_left_out_of_files_with_a_line_that_names_them(config, capsys):
    file = config("steps: 3\nslots: 4\ninner: {rank: 8, depth: 2}\nother: {deep: 1}\n")
    ignored = ("slots", "other", "inner.depth", "absent", "absent.deep")
    assert load_settings(Outer, file, "", ignored) == Outer(steps=3, inner=Inner(rank=8))
    expected = f"{file[1]}: left out slots, other, inner.depth, which this trainer does not have\n"
    assert capsys.readouterr().out == expected
    assert load_settings(Outer, config("steps: 3\n"), "", ignored) == Outer(steps=3)
    assert capsys.readouterr().out == ""
    with pytest.raises(SystemExit, match="error: unknown setting slots; expected one of"):
        load_settings(Outer, [*file, "--slots", "4"], "", ignored)


@pytest.mark.parametrize("argv", [["--inner.rank", "8"], ["--inner.rank=8"]])
def test_an_override_reaches_into_a_group(argv):
    assert load(*argv) == Outer(inner=Inner(rank=8))


def test_an_override_of_one_key_keeps_its_neighbours(config):
    file = config("inner: {rank: 8, name: big}\noptions: {a: {b: 1, c: 2}}\n")
    settings = load(*file, "--inner.name", "huge", "--options.a.b", "3")
    assert settings == Outer(inner=Inner(rank=8, name="huge"), options={"a": {"b": 3, "c": 2}})


def test_later_arguments_win_over_earlier_ones_files_included(config):
    first, second = config("steps: 1\nrate: 1.0\n", "a.yaml"), config("steps: 2\n", "b.yaml")
    assert load(*first, *second) == Outer(steps=2, rate=1.0)
    assert load("--steps", "5", *first).steps == 1
    assert load(*first, "--steps=5", "--steps", "6").steps == 6


@pytest.mark.parametrize(("text", "value"), [("3e-4", 3e-4), ("1", 1.0), ("0.5", 0.5), ("-2", -2.0)])
def test_numbers_may_be_written_as_people_write_them(config, text, value):
    for settings in (load("--rate", text), load(f"--rate={text}"), load(*config(f"rate: {text}\n"))):
        assert settings.rate == value
        assert type(settings.rate) is float
    assert load("--inner.ratio", text).inner.ratio == value


def test_values_are_read_as_yaml():
    settings = load("--resume", "true", "--inner.ratio", "null", "--options", "{lr: 1.5, tags: [a, b]}")
    assert settings == Outer(resume=True, options={"lr": 1.5, "tags": ["a", "b"]})


def test_a_value_may_hold_an_equals_sign_or_start_with_dashes():
    assert load("--inner.name=a=b").inner.name == "a=b"
    assert load("--inner.name", "--x").inner.name == "--x"


def test_dashes_and_underscores_in_keys_are_the_same():
    @dataclass
    class Dashed:
        max_steps: int = 1

    assert load_settings(Dashed, ["--max-steps", "7"], "").max_steps == 7


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--speed", "1"], "unknown setting speed; expected one of steps, rate, resume, inner, options"),
        (["--inner.speed", "1"], "unknown setting inner.speed; expected one of rank, ratio, name"),
        (["--inner", "3"], "inner: expected a group of settings, got 3"),
        (["--steps.deep", "3"], "steps: expected int, got {'deep': 3}"),
        (["--steps", "3.5"], "steps: expected int, got 3.5"),
        (["--steps", "many"], "steps: expected int, got 'many'"),
        (["--steps", "true"], "steps: expected int, got True"),
        (["--steps", "null"], "steps: expected int, got None"),
        (["--rate", "fast"], "rate: expected a number, got 'fast'"),
        (["--rate", "true"], "rate: expected float, got True"),
        (["--resume", "1"], "resume: expected bool, got 1"),
        (["--inner.name", "5"], "inner.name: expected str, got 5"),
        (["--inner.ratio", "[1]"], "inner.ratio: expected float or NoneType, got [1]"),
        (["--options", "[1]"], "options: expected dict"),
        (["--steps"], "--steps has no value"),
        (["steps", "3"], "'steps': expected --key value"),
        (["--options", "{a: ["], "--options: "),
    ],
)
def test_a_mistake_is_one_line_that_names_the_key(argv, message):
    assert error_of(*argv).startswith(f"error: {message}")


@pytest.mark.parametrize("text", ["inner: {rank: [\n", "a: b: c\n", "- 1\n- 2\n", "just words\n"])
def test_a_broken_file_is_one_line_that_names_the_file(config, text):
    file = config(text)
    assert file[1] in error_of(*file)


def test_a_missing_file_is_one_line_that_names_it(tmp_path):
    missing = str(tmp_path / "missing.yaml")
    assert missing in error_of("--config", missing)


def test_mistakes_in_a_file_name_the_key_too(config):
    assert error_of(*config("inner: {rank: two}\n")) == "error: inner.rank: expected int, got 'two'"
    assert error_of(*config("1: 2\n")).startswith("error: unknown setting 1;")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_lists_every_key_with_its_default(flag):
    with pytest.raises(SystemExit) as raised:
        load("--steps", "x", flag)
    text = str(raised.value.code)
    assert text.startswith("Trains.")
    for line in ("--steps  (default: 10)", "--inner.rank  (default: 4)", "--inner.ratio  (default: None)"):
        assert f"  {line}\n" in text
