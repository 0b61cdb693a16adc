"""The README's Python examples run as they stand."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


def test_the_readme_has_an_example():
    assert EXAMPLES


@pytest.mark.parametrize("source", EXAMPLES)
def test_an_example_runs_and_ends_with_a_score(source, capsys):
    exec(compile(source, str(README), "exec"), {})
    score = float(capsys.readouterr().out.splitlines()[-1].split()[0])
    assert 0.0 <= score <= 1.0
