import pytest

from memgym.memory.codecs.lenient_json import find_json


def values(text):
    return [piece.value for piece in find_json(text) if piece.readable]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, -3, true, null, "x"]}', {"a": [1, 2.5, -3, True, None, "x"]}),
        ("{'a': True, 'b': None, 'c': False}", {"a": True, "b": None, "c": False}),
        ("{a: b, c = 1}", {"a": "b", "c": 1}),
        ('{"a": 1,, "b": 2,}', {"a": 1, "b": 2}),
        ('{"a": {"b": [1, {"c": "d"', {"a": {"b": [1, {"c": "d"}]}}),
        ('{"a": "say "hi" now", "b": 1}', {"a": 'say "hi" now', "b": 1}),
        ("{'a': 'it's', 'b': '\\'q\\''}", {"a": "it's", "b": "'q'"}),
        ('{"a": "x\\qy \\u00e9 \\n \\\\",}', {"a": "x\\qy \u00e9 \n \\"}),
        ('{"a": "\\ud83d\\ude00",}', {"a": "\U0001f600"}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
        ("[]", []),
        ("{", {}),
    ],
)
def test_lenient_json_reads(text, value):
    assert values(f"Sure: {text}") == [value]


@pytest.mark.parametrize(
    "text", ["{1}", '{"a" "b"}', '{"a": }', '{"a": "b', "{:}", "[" * 40, '{"a": 1e5x}', "[" + "9" * 30]
)
def test_lenient_json_gives_up_on(text):
    assert {} not in values(text)
    assert next(find_json(text)).readable is False
