import pytest

from agents import manager as manager_module
from agents.answerer import AnswerAgent
from agents.backbone import LoraSettings, add_adapter, load_adapter, load_backbone, save_adapter
from agents.generation import Generation
from agents.manager import MemoryManager
from memgym.envs.dialogue import DialogueEnv
from memgym.memory.operations import Operation
from memgym.rollout import rollout
from tests.scripted import FakeReader, make_vector, tea_story


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


# --- What an adapter was trained as ----------------------------------------------------------------------------------


@pytest.fixture
def quoting(own_backbone):
    """A backbone with an adapter that was trained to quote."""
    add_adapter(own_backbone, "default", LoraSettings(rank=2))
    own_backbone.trained_as["default"] = MemoryManager(own_backbone, style="quote", max_new_tokens=7).record
    return own_backbone


def test_an_adapter_is_used_as_it_was_trained_and_keeps_that_in_its_folder(quoting, tmp_path):
    save_adapter(quoting, "default", tmp_path)
    other = load_backbone("tiny-llama", device="cpu")
    load_adapter(other, tmp_path, "again")
    manager = MemoryManager(other, adapter="again")
    assert (manager.style, manager.codec.name, manager.search, manager.max_new_tokens) == ("quote", "lines", False, 7)
    assert MemoryManager(other).style == "terse"  # the bare backbone was trained as nothing


def test_another_format_than_the_trained_one_is_refused_and_another_limit_is_not(quoting):
    with pytest.raises(ValueError, match=r"trained with style='quote', not 'terse': use that, or delete"):
        MemoryManager(quoting, adapter="default", style="terse")
    assert MemoryManager(quoting, adapter="default", style="quote", max_new_tokens=9).max_new_tokens == 9


def test_a_manager_s_adapter_is_no_reader_s(quoting):
    with pytest.raises(ValueError, match="trained as manager, not as answerer"):
        AnswerAgent(quoting, "default")
    assert AnswerAgent(quoting).distil is False


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_broken_record_is_named(quoting, tmp_path, text):
    save_adapter(quoting, "default", tmp_path)
    (tmp_path / "memgym_agent.json").write_text(text)
    with pytest.raises(ValueError, match=r"memgym_agent\.json: "):
        load_adapter(quoting, tmp_path, "again")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"codec": "morse"}, "codec 'morse': expected one of mem_alpha, memory_r1, lines"),
        ({"style": "chatty"}, "style 'chatty': expected one of full, terse, quote"),
        ({"style": "quote", "search": True}, "style 'quote' cannot search"),
        ({"sentences": True}, "style 'terse' writes its entries itself: sentences goes with style 'quote'"),
        ({"codec": "memory_r1", "search": True}, "codec memory_r1 has no search"),
    ],
)
def test_a_format_that_there_is_not_is_refused_before_anything_is_generated(tiny_backbone, options, message):
    with pytest.raises(ValueError, match=message):
        MemoryManager(tiny_backbone, **options)


# --- Searching -------------------------------------------------------------------------------------------------------


def test_searching_is_offered_when_it_is_switched_on(tiny_backbone, observation):
    def prompt(**options):
        return tiny_backbone.tokenizer.decode(MemoryManager(tiny_backbone, **options).prompt_ids(observation))

    assert "? words" in prompt(search=True)
    assert "? words" not in prompt()
    assert "search_memory" in prompt(search=True, codec="mem_alpha")


def test_a_manager_that_searches_reads_what_was_found_on_the_same_chunk(own_backbone, monkeypatch):
    """A scripted model: it notes a fact, then looks it up, then rewrites it."""
    replies = ["+ The bicycle is blue.", "? bicycle", "~1 The bicycle is red.", "."]
    prompts = []

    def scripted(backbone, adapter, ids, **options):
        prompts.extend(backbone.tokenizer.decode(row) for row in ids)
        return [Generation(tuple(row), (2,), replies[len(prompts) - 1], truncated=False) for row in ids]

    monkeypatch.setattr(manager_module, "generate_with", scripted)
    env = make_vector(tea_story(), reader=FakeReader(lambda task: task.context[0].text), shown=0)
    (trajectory,) = rollout(env, MemoryManager(own_backbone, search=True), [0])
    assert [step.chunk for step in trajectory.steps] == [0, 1, 1, 2]
    assert [step.operations[0]["status"] for step in trajectory.steps] == ["ok"] * 4
    assert ["The bicycle is blue." in prompt for prompt in prompts] == [False, False, True, False]
    assert "My sister Ines works as a baker." in prompts[2]  # the chunk is still there
    assert [answer["prediction"] for answer in trajectory.exam["answers"]] == ["The bicycle is red."] * 2
