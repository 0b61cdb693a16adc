"""The README's Python examples run as they stand."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def run(source, capsys):
    exec(compile(source, str(README), "exec"), {})
    return capsys.readouterr().out.splitlines()


def test_the_environment_example_ends_with_a_score(capsys):
    (source,) = [example for example in EXAMPLES if "gymnasium.make" in example]
    assert 0.0 <= float(run(source, capsys)[-1].split()[0]) <= 1.0


def test_the_assistant_example_answers_from_what_it_was_told(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = [example for example in EXAMPLES if "MemoryAssistant" in example]
    assert run(source, capsys) == ["Porto"]
    assert (tmp_path / "mara.db").is_file()


def test_every_example_is_run_here():
    assert len(EXAMPLES) == 2
