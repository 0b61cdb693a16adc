import pytest

from agents.manager import MemoryManager
from memgym.envs.dialogue import DialogueEnv
from memgym.memory.operations import Operation


@pytest.fixture
def observation():
    env = DialogueEnv(dialogue={"chunks": 2, "turns_per_chunk": 2, "questions": 2, "verbosity": "short"})
    return env.reset(seed=0)[0]


def test_a_reply_is_read_in_the_format_of_the_style(own_backbone, observation):
    line = observation["chunk"].split("\n")[0]
    lines = MemoryManager(own_backbone, style="terse", codec="lines")
    quotes = MemoryManager(own_backbone, style="quote")
    assert lines.read(f"@ {line}", observation) == [Operation("insert", "episodic", line)]
    assert quotes.read(quotes.write([Operation("insert", "episodic", line)], observation), observation) == [
        Operation("insert", "episodic", quote=1)
    ]


def test_sampling_depends_on_the_seed_and_the_number_of_the_call_alone(own_backbone, observation):
    def replies(seed):
        manager = MemoryManager(own_backbone, temperature=1.0, max_new_tokens=8, seed=seed)
        return [manager.act([observation], [0])[0].completion_ids for _ in range(2)]

    first = replies(1)
    assert first == replies(1)
    assert first[0] != first[1]
    assert first != replies(2)


def test_a_decision_holds_the_sampled_tokens_and_their_text(own_backbone, observation):
    manager = MemoryManager(own_backbone, max_new_tokens=8)
    (decision,) = manager.act([observation], [0])
    assert list(decision.prompt_ids) == manager.prompt_ids(observation)
    tokenizer = own_backbone.tokenizer
    assert decision.text == tokenizer.decode(decision.completion_ids, skip_special_tokens=True)
    assert decision.truncated == (tokenizer.eos_token_id not in decision.completion_ids)
