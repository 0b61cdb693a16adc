"""Raw model text as the action: whatever a model writes becomes operations, never an exception."""

import os
import pickle

import gymnasium
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memgym.envs.spaces import Unicode
from memgym.envs.wrappers import TextActionWrapper
from memgym.memory.codecs import CODECS, LinesCodec
from memgym.memory.operations import FAILURE_CODES, OPERATION_KINDS, STORES, Operation
from memgym.memory.provenance import attribute_sources
from tests.scripted import fact, make_env, tea_story

EXAMPLES = int(os.environ.get("MEMGYM_FUZZ_EXAMPLES", "200"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no failure
)


def wrapped(codec="lines", **config) -> TextActionWrapper:
    env = TextActionWrapper(make_env(tea_story(), **config), codec)
    env.reset(seed=0)
    return env


@pytest.mark.parametrize("codec", CODECS)
def test_text_does_what_its_operations_do(codec):
    written = [fact("Ann bought a red bicycle"), fact("Ines is a baker")]
    text = CODECS[codec].render(written)
    by_text, by_operations = wrapped(codec), make_env(tea_story())
    by_operations.reset(seed=0)
    by_text.step(text)
    by_operations.step(written)
    assert by_text.unwrapped.bank.state_hash() == by_operations.bank.state_hash()
    assert [entry.text for entry in by_text.unwrapped.bank.entries()] == ["Ann bought a red bicycle", "Ines is a baker"]


def test_unreadable_text_is_a_failed_operation_the_agent_is_told_of():
    env = wrapped()
    observation, _, _, _, info = env.step("+ red bicycle\nI think that is all!")
    assert [(done["kind"], done["code"]) for done in info["operations"]] == [("insert", ""), ("invalid", "parse")]
    assert observation["results"] == ("failed invalid: cannot read the line 'I think that is all!'",)
    assert observation["progress"].tolist() == [1, 3]


def test_a_search_in_text_stays_on_the_chunk():
    env = wrapped()
    assert env.step("? bicycle")[0]["progress"].tolist() == [0, 3]


def test_the_action_space_is_text():
    env = wrapped()
    assert isinstance(env.action_space, Unicode)
    env.action_space.seed(0)
    assert env.step(env.action_space.sample())[0] in env.observation_space


@pytest.mark.parametrize("action", [None, 5, [fact("tea")], b"+ tea"])
def test_what_is_no_text_raises_one_clear_line(action):
    with pytest.raises(TypeError, match="takes model text \\(str\\) as the action, got"):
        wrapped().step(action)


def test_a_codec_is_named_or_given():
    assert wrapped(LinesCodec()).codec.name == "lines"
    with pytest.raises(ValueError, match="codec 'morse': expected one of mem_alpha, memory_r1, lines"):
        wrapped("morse")


def test_the_wrapper_is_part_of_the_spec():
    env = TextActionWrapper(gymnasium.make("memgym/Dialogue-v0"), codec="mem_alpha")
    again = gymnasium.make(pickle.loads(pickle.dumps(env.spec)))
    assert isinstance(again, TextActionWrapper)
    assert again.codec.name == "mem_alpha"


# --- any text at all ---

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)  # lone surrogates and NUL included
SHARDS = st.sampled_from([
    "<tool_call>", "</tool_call>", '{"name": "new_memory_insert", "arguments": ', '{"memory_type": "core"',
    '"content": "red bicycle"', '"memory_id": 1', '"memory_id": -1', '{"memory": [', '{"event": "ADD", "text": "',
    '{"event": "UPDATE", "id": 1, "text": ', '{"event": "DELETE", "id": ', '"', "'", "\\", "}", "]}", ",", ": ",
    "\n+ ", "\n@ 2024-05-08 ", "\n= ", "\n~1 ", "\n-1", "\n-=", "\n-99", "\n? ", "\n.", "\n?@9 tea", "\n@1", "\n+77",
    "done", "```", "1e999", "NaN", "1e308", "9" * 25, "null", "[" * 30, "\\ud83d", "<think>", "</think>",
    "word " * 30, "tea",
])  # fmt: skip
TEXT = st.sampled_from(["tea", "red bicycle", "Ann bought a red bicycle", "", "\0", "a\nb"]) | ANY_TEXT
OPERATIONS = st.builds(
    Operation,
    kind=st.sampled_from([kind for kind in OPERATION_KINDS if kind != "invalid"]),
    store=st.just("semantic") | st.sampled_from((*STORES, "", "attic")),
    text=TEXT,
    entry_id=st.integers(1, 3) | st.integers(-2, 5) | st.integers() | st.none(),
    timestamp=st.sampled_from(["", "", "2024-05-08", "2024-05-08T13:56", "soon"]),
    k=st.integers(-2, 9) | st.integers(),
)


def written_by(codec: str, operations: list[Operation]) -> str:
    """The operations as the codec writes them, without those it cannot write."""
    readable = []
    for operation in operations:
        try:
            CODECS[codec].render([operation])
        except ValueError:
            continue
        readable.append(operation)
    return CODECS[codec].render(readable)


@st.composite
def replies(draw, codec: str) -> str:
    """Well-formed replies, whole or damaged in one place, and shards of the formats between noise."""
    if draw(st.sampled_from((False, False, True))):
        return "".join(draw(st.lists(SHARDS | ANY_TEXT, max_size=10)))
    whole = written_by(codec, draw(st.lists(OPERATIONS, min_size=1, max_size=5)))
    start, end = sorted((draw(st.integers(0, len(whole))), draw(st.integers(0, len(whole)))))
    return whole if draw(st.booleans()) else whole[:start] + draw(SHARDS | ANY_TEXT) + whole[end:]


def expected_bank(env, info, before, chunk, step):
    """The bank as the successful operations alone make it out of ``before``."""
    before.step = step
    for done in info["operations"]:
        if done["status"] == "ok":
            fields = ("kind", "store", "text", "entry_id", "timestamp", "k")
            operation = Operation(**{name: done[name] for name in fields})
            sources = attribute_sources(operation.text, chunk.turns) if operation.text else ()
            if done["quote"]:
                sources = (chunk.turns[done["quote"] - 1].id,)
            assert before.apply(operation, sources=sources, timestamp=chunk.timestamp).ok
    return before


@pytest.mark.parametrize("codec", CODECS)
def test_no_text_breaks_an_environment_and_no_failed_operation_changes_its_bank(codec):
    """Random search with a fixed seed: 200 episodes per codec; ``make fuzz`` plays 10,000."""
    env = wrapped(codec, budget=30, max_operations=6)
    story = env.unwrapped.task.episode(0)
    seen, played = set(), 0

    @FUZZ
    @given(st.lists(replies(codec), min_size=1, max_size=4))
    def play(texts):
        nonlocal played
        played += 1
        env.reset(seed=0)
        for operation in (fact("tea"), fact("red bicycle"), fact("two cats"), Operation("update", "core", "Ann")):
            env.unwrapped.bank.apply(operation)
        position = 0
        for step, text in enumerate(texts):
            bank = env.unwrapped.bank
            before = bank.fork()
            observation, reward, terminated, truncated, info = env.step(text)
            assert observation in env.observation_space
            assert type(reward) is float and -2 < reward < 2 and truncated is False
            for done in info["operations"]:
                seen.add(done["code"] or done["kind"])
                assert (done["status"], done["code"], done["reason"]) == ("ok", "", "") or (
                    done["status"] == "failed" and done["code"] in FAILURE_CODES and done["reason"].encode()
                )
            chunk = story.chunks[position]
            assert expected_bank(env, info, before, chunk, step).state_hash() == bank.state_hash()
            assert bank.tokens() <= 30
            assert (
                sum(bank.count_tokens(e.text) for e in bank.entries()) + bank.count_tokens(bank.core) == bank.tokens()
            )
            before.close()
            position = int(observation["progress"][0])
            if terminated:
                break

    play()
    assert played >= EXAMPLES
    assert "parse" in seen and len(seen) > 3, "replies that do nothing prove nothing"
