import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import agents
from agents import memlora
from agents.assistant import MemoryAssistant
from agents.backbone import LoraSettings, add_adapter, load_backbone, save_adapter
from agents.fact_pipeline import ExtractRequest, FactPipeline, Reply
from agents.facts import read_facts
from agents.generation import generate_with
from agents.manager import MemoryManager
from agents.memlora import MemLoRA, load_adapters
from agents.trained_as import with_env, write_record
from memgym.memory.operations import Operation
from memgym.rollout import Decision
from tests.scripted import FakeReader, make_env, make_episode, same

TALK = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "name": "Ann", "content": "My cat is called\nMoss.", "timestamp": "2024-05-01T09:00"},
    {"role": "assistant", "content": "How lovely, Ann."},
    {"role": "assistant", "content": None, "tool_calls": []},
    {"role": "tool", "content": "42"},
]


class Facts(FactPipeline):
    """Knows what two sentences mean."""

    def __init__(self):
        super().__init__("facts")

    def extract(self, requests):
        known = {"Bern": "Ann lives in Bern.", "Porto": "Ann lives in Porto."}
        return [Reply("\n".join(fact for word, fact in known.items() if word in r.chunk) or ".") for r in requests]

    def update(self, requests):
        return [Reply("UPDATE 1") for _ in requests]


class Notebook:
    """Acts out a script, one list of operations per step, and keeps the observations it was shown."""

    name = "notebook"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, *script):
        self.script = iter(script)
        self.observations = []

    def act(self, observations, episodes):
        self.observations += observations
        return [Decision(tuple(next(self.script))) for _ in observations]


def said(text, **fields):
    return {"role": "user", "name": "Ann", "content": text, **fields}


def texts(memory):
    return [entry.text for entry in memory.bank.entries()]


# --- Without a model -------------------------------------------------------------------------------------------------


def test_what_was_said_is_there_again_when_the_file_is_opened_again(tmp_path):
    with MemoryAssistant(tmp_path / "ann.db") as memory:
        memory.observe(TALK)
    with agents.MemoryAssistant(tmp_path / "ann.db") as memory:
        assert texts(memory) == ["Ann: My cat is called Moss.", "Assistant: How lovely, Ann."]
        answer = memory.answer("What is the cat of Ann called?")
    assert answer == "Moss"
    assert [entry.id for entry in answer.entries] == [1, 2]
    assert answer.entries[0].timestamp == "2024-05-01T09:00"


def test_sources_name_a_message_of_all_the_times_the_file_was_open(tmp_path):
    for text in ("I ski.", "I swim."):
        with MemoryAssistant(tmp_path / "ann.db") as memory:
            memory.observe([said("Hm."), said(text)])
    with MemoryAssistant(tmp_path / "ann.db") as memory:
        sources = [entry.sources for entry in memory.bank.entries()]
        steps = [entry.created_step for entry in memory.bank.entries()]
    assert len(set(sources)) == len(sources) == 3  # the second "Hm." is there already
    assert steps == sorted(steps)


def test_observing_says_what_was_remembered_and_what_was_not():
    with MemoryAssistant(":memory:") as memory:
        (first,) = memory.observe([said("I ski.")])
        (second,) = memory.observe([said("I ski.")])
        assert memory.observe([{"role": "system", "content": "x"}, said("  ")]) == memory.observe([]) == []
    assert (first.ok, first.after.text) == (True, "Ann: I ski.")
    assert (second.ok, second.code) == (False, "duplicate")


def test_within_a_budget_the_newest_messages_are_kept():
    with MemoryAssistant(":memory:", budget=11) as memory:  # "Ann: I ski." has 5 tokens
        for text in ("I ski.", "I swim.", "I hike."):
            memory.observe([said(text)])
        assert texts(memory) == ["Ann: I swim.", "Ann: I hike."]


def test_importing_and_using_the_assistant_without_a_model_imports_no_torch():
    code = (
        "import sys, agents\n"
        "before = 'torch' in sys.modules or 'agents.assistant' in sys.modules\n"
        "with agents.MemoryAssistant(':memory:') as memory:\n"
        "    memory.observe([{'role': 'user', 'content': 'My cat is called Moss.'}])\n"
        "    print(before, memory.answer('What is the cat called?'), 'torch' in sys.modules)\n"
    )
    root = Path(agents.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "Moss", "False"], done.stderr


def test_the_memory_is_searched_as_the_settings_say():
    found = {}
    for neighbours in (0, 1):
        with MemoryAssistant(":memory:", neighbours=neighbours) as memory:
            memory.observe([said("I have a pet."), said("It is small."), said("So it goes.")])
            found[neighbours] = [entry.id for entry in memory.answer("Which pet?").entries]
    assert found == {0: [1], 1: [1, 2]}


def test_speakers_that_are_not_known_are_not_given_shares():
    with pytest.raises(ValueError, match="per_speaker=True: a memory that is kept does not know its speakers"):
        MemoryAssistant(":memory:", per_speaker=True)


# --- With a policy ---------------------------------------------------------------------------------------------------


def test_a_policy_extracts_and_updates_over_many_readings(tmp_path):
    for text in ("I live in Bern.", "Good morning.", "I moved to Porto."):
        with MemoryAssistant(tmp_path / "ann.db", policy=Facts()) as memory:
            results = memory.observe([said(text, timestamp="2024-05-01")])
            held = texts(memory)
    assert held == ["Ann lives in Porto."]
    assert [(r.operation.kind, r.before.text, r.after.text) for r in results] == [
        ("update", "Ann lives in Bern.", "Ann lives in Porto.")
    ]


def test_an_agent_sees_what_it_saw_in_training():
    """The same messages as an episode of the gym, with every kind of operation: equal observations, equal memory."""
    chunks = [["I ski.", "I swim."], ["I hike.", "Hm."]]
    script = [
        [
            Operation("insert", "episodic", quote=1),
            Operation("update", "core", "Ann."),
            Operation("delete", entry_id=9),
        ],
        [Operation("search", text="ski"), Operation("insert", "semantic", "Ann swims.")],
        [Operation("update", text="Ann hikes.", entry_id=2)],
    ]
    env = make_env(make_episode(*chunks), budget=40, shown=1)
    env.reset(options={"episode": 0})
    expected = []
    for operations in script:
        expected.append(env.observation())
        env.step(operations)
    policy = Notebook(*script)
    with MemoryAssistant(":memory:", policy=policy, turns_per_chunk=2, budget=40, shown=1) as memory:
        for number, chunk in enumerate(chunks, start=1):
            memory.observe([said(text, timestamp=f"2024-05-0{number}T09:00") for text in chunk])
        entries = memory.bank.entries()
    for shown, trained in zip(policy.observations, expected, strict=True):
        del trained["progress"], shown["progress"]
        if shown is policy.observations[1]:  # news of the last step do not outlive a reading
            trained["results"] = ()
        assert same(shown, trained)
    assert [(e.store, e.text, e.timestamp) for e in entries] == [
        (e.store, e.text, e.timestamp) for e in env.bank.entries()
    ]


def test_messages_are_read_a_few_at_a_time_and_never_two_days_together():
    policy = Notebook(*[[]] * 4)
    days = ["2024-05-01", "2024-05-01T23:00", "2024-05-01", "2024-05-02", ""]
    with MemoryAssistant(":memory:", policy=policy, turns_per_chunk=2) as memory:
        memory.observe([said(str(number), timestamp=day) for number, day in enumerate(days)])
    assert [observation["chunk"] for observation in policy.observations] == [
        "Ann: 0\nAnn: 1",
        "Ann: 2",
        "Ann: 3",
        "Ann: 4",
    ]
    assert [observation["progress"].tolist() for observation in policy.observations] == [[n, 4] for n in range(4)]
    assert policy.observations[0]["budget_left"].dtype == np.int64


def test_answering_leaves_no_trace_and_takes_the_reader_it_is_given():
    reader = FakeReader(lambda task: f"{task.question} {len(task.context)} {task.timestamp}")
    with MemoryAssistant(":memory:", reader=reader, retrieve=1) as memory:
        memory.observe([said("I ski in Bern."), said("I ski in Oslo.")])
        before = memory.bank.snapshot()
        assert memory.answer("Where do I ski?", timestamp="2025-01-01") == "Where do I ski? 1 2025-01-01"
        assert memory.bank.snapshot() == before


# --- With adapters ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of adapters that do something: extract, update, answer and, apart from them, manager."""
    folder = tmp_path_factory.mktemp("adapters")
    backbone = load_backbone("tiny-llama", device="cpu")
    for number, name in enumerate(("extract", "update", "answer", "manager")):
        add_adapter(backbone, f"a_{name}", LoraSettings(rank=4, alpha=8), seed=number)
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for key, parameter in backbone.model.named_parameters():
                if "lora_B" in key and f"a_{name}" in key:
                    parameter.normal_(std=0.3, generator=generator)
        save_adapter(backbone, f"a_{name}", folder / ("other" if name == "manager" else "memlora") / name)
    return folder


def test_a_folder_of_memlora_adapters_extracts_and_answers(trained, monkeypatch):
    short = lambda *args, **options: generate_with(*args, **{**options, "max_new_tokens": 12})  # noqa: E731
    monkeypatch.setattr(memlora, "generate_with", short)
    own = load_backbone("tiny-llama", device="cpu")
    load_adapters(own, trained / "memlora")
    (reply,) = MemLoRA(own).extract([ExtractRequest("Ann: I ski.", "2024-05-01", 0, 0)])
    with MemoryAssistant(":memory:", backbone="tiny-llama", adapters=trained / "memlora") as memory:
        memory.observe([said("I ski.", timestamp="2024-05-01")])
        queries = [row.operation.text for row in memory.bank.journal() if row.operation.kind == "search"]
        assert queries == read_facts(reply.text, truncated=reply.truncated)
        assert isinstance(memory.answer("Who skis?"), str)


def test_a_manager_is_named_and_acts_as_it_was_trained(trained):
    own = load_backbone("tiny-llama", device="cpu")
    folder = trained / "other" / "manager"
    policy = Notebook([])
    with MemoryAssistant(":memory:", policy=policy) as memory:
        memory.observe([said("I ski.")])
    from agents.backbone import load_adapter

    load_adapter(own, folder, "own")
    manager = MemoryManager(own, adapter="own", style="quote")
    expected = manager.act(policy.observations, [0])[0].operations
    with MemoryAssistant(":memory:", backbone="tiny-llama", adapters={"manager": folder}, style="quote") as memory:
        memory.observe([said("I ski.")])
        assert tuple(row.operation for row in memory.bank.journal()) == expected


def test_a_single_adapter_may_say_itself_what_it_is(trained, tmp_path):
    shutil.copytree(trained / "other" / "manager", tmp_path / "adapter")
    with pytest.raises(ValueError, match=r"not say what it was trained as needs its name with it, such as manager=/"):
        MemoryAssistant(":memory:", backbone="tiny-llama", adapters=tmp_path / "adapter")
    write_record(tmp_path / "adapter", {"role": "manager", "codec": "lines", "style": "quote", "max_new_tokens": 8})
    with MemoryAssistant(":memory:", backbone="tiny-llama", adapters=tmp_path / "adapter") as memory:
        (result,) = memory.observe([said("I ski.")])
        assert result.code == "parse"  # a random model names no line


MANAGER = {"role": "manager", "codec": "lines", "style": "quote", "max_new_tokens": 8}
MANAGED = {"shown": 0, "show": "relevant", "retrieve": 8}
ANSWERED = {"retrieve": 60, "neighbours": 2, "context_tokens": 3000}


@pytest.fixture
def recorded(trained, tmp_path):
    """Folders of a manager and an answerer that know what they were shown in training."""
    folders = {"manager": trained / "other" / "manager", "answer": trained / "memlora" / "answer"}
    own = {name: Path(shutil.copytree(folder, tmp_path / name)) for name, folder in folders.items()}
    write_record(own["manager"], {**MANAGER, "env": MANAGED})
    write_record(own["answer"], {"role": "answerer", "distil": False, "env": ANSWERED})
    return own


def view(**arguments):
    """What an assistant shows its agents, as far as adapters may decide it; the reader's window."""
    with MemoryAssistant(":memory:", backbone="tiny-llama", **arguments) as memory:
        config, reader = memory._env.config, memory._env.exam.reader
        names = ("shown", "show", "retrieve", "neighbours", "context_tokens")
        return [getattr(config, name) for name in names], reader.window


def test_adapters_are_shown_what_they_were_shown_in_training(recorded):
    assert view(adapters=recorded["manager"]) == ([0, "relevant", 8, 0, 2000], 2000)
    assert view(adapters=recorded) == ([0, "relevant", 60, 2, 3000], 3000)  # the answerer's where they differ


def test_a_setting_goes_before_what_was_shown_in_training(recorded):
    assert view(adapters=recorded, shown=3, retrieve=5, context_tokens=100) == ([3, "relevant", 5, 2, 100], 100)


def test_what_a_manager_was_shown_is_nothing_to_a_policy_in_its_place(recorded):
    assert view(adapters=recorded, policy=Notebook()) == ([5, "recent", 60, 2, 3000], 3000)


def test_an_adapter_of_before_is_shown_the_defaults(recorded):
    write_record(recorded["manager"], MANAGER)
    assert view(adapters=recorded["manager"]) == ([5, "recent", 20, 0, 2000], 2000)


def test_a_record_keeps_of_an_environment_what_its_role_sees():
    shown = {"shown": 0, "retrieve": 8, "retrieval": None, "encoder": object(), "reward": "f1", "budget": 9}
    assert with_env({"role": "manager"}, shown) == {"role": "manager", "env": {"shown": 0, "retrieve": 8}}
    assert with_env({"role": "answerer"}, shown) == {"role": "answerer", "env": {"retrieve": 8}}


def test_a_backbone_that_was_named_answers_over_messages_kept_word_for_word(monkeypatch):
    from agents.answerer import AnswerAgent

    monkeypatch.setattr(AnswerAgent, "answer", lambda self, tasks: [f"{self.backbone.name}, {self.adapter}"])
    with MemoryAssistant(":memory:", backbone="tiny-llama") as memory:
        memory.observe([said("I ski.")])
        assert texts(memory) == ["Ann: I ski."]
        assert memory.answer("Who skis?") == "tiny-llama, None"


# --- Mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"role": "narrator", "content": "x"}, "message 1: expected a mapping with a role out of user, assistant, got"),
        ("hello", "message 1: expected a mapping"),
        (said(["x"]), "message 1: content is list, expected text"),
        (said("x", timestamp="yesterday"), "message 1: timestamp 'yesterday': expected ISO 8601"),
    ],
)
def test_a_message_that_is_none_is_refused_before_anything_is_kept(message, error):
    with MemoryAssistant(":memory:") as memory:
        with pytest.raises(ValueError, match=error):
            memory.observe([said("I ski."), message])
        assert texts(memory) == []


def test_a_single_message_has_to_be_in_a_list():
    with MemoryAssistant(":memory:") as memory, pytest.raises(ValueError, match="put a single one into a list"):
        memory.observe(said("x"))


@pytest.mark.parametrize(
    ("adapters", "error"),
    [
        ("nowhere", "no adapters in nowhere: expected sub-folders out of manager, extract, update, answer; a single"),
        ({"reader": "x"}, "adapter 'reader': expected names out of manager"),
        ({"extract": "x"}, "expected extract and update together, or manager"),
        ({"extract": "x", "update": "x", "manager": "x"}, "expected extract and update together, or manager"),
        ({"manager": "nowhere"}, "no adapter in nowhere"),
    ],
)
def test_adapters_that_make_no_sense_are_refused(adapters, error):
    with pytest.raises(ValueError, match=error):
        MemoryAssistant(":memory:", backbone="tiny-llama", adapters=adapters)
