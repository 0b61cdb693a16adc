import pytest
import torch

from agents import make_agent
from agents.backbone import LoraSettings, active_adapter, add_adapter, load_backbone, save_adapter
from agents.fact_pipeline import ExtractRequest, FactPipeline, Lookup, Reply, UpdateRequest, read_lookups
from agents.facts import Note, read_facts
from agents.memlora import MemLoRA, adapter_name, load_adapters
from agents.prompts import extract as extract_prompt
from agents.prompts import update as update_prompt
from memgym.memory.operations import Operation
from memgym.rollout import rollout
from tests.scripted import make_env, make_episode, make_vector, tea_story

SMALL = LoraSettings(rank=4, alpha=8)


class Scripted(FactPipeline):
    """Replies from two tables: by a word of the chunk, and by fact."""

    def __init__(self, facts, changes=None, **options):
        super().__init__("scripted", **options)
        self.facts, self.changes = facts, changes or {}
        self.extracted, self.updated = [], []

    def extract(self, requests):
        self.extracted.append(list(requests))
        return [Reply(next((f for word, f in self.facts.items() if word in r.chunk), ".")) for r in requests]

    def update(self, requests):
        self.updated.append(list(requests))
        return [Reply(self.changes.get(r.fact, "ADD")) for r in requests]


def play(policy, *episodes, num_envs=1, indices=None, **config):
    vector = make_vector(*episodes, num_envs=num_envs, **{**policy.env_overrides, **config})
    return vector, rollout(vector, policy, indices or range(len(episodes)))


def held(vector, number=0):
    return [entry.text for entry in vector.envs[number].bank.entries()]


# --- The pipeline ----------------------------------------------------------------------------------------------------


def test_facts_are_extracted_looked_up_and_added():
    policy = Scripted({"bicycle": "Ann bought a red bicycle in Bern.", "cat": "Ann's cat is called Moss."})
    vector, (trajectory,) = play(policy, tea_story())
    assert held(vector) == ["Ann bought a red bicycle in Bern.", "Ann's cat is called Moss."]
    assert [entry.sources for entry in vector.envs[0].bank.entries()] == [("t0",), ("t4",)]
    assert [entry.timestamp for entry in vector.envs[0].bank.entries()] == ["2024-05-01T09:00", "2024-05-03T09:00"]
    assert [step.chunk for step in trajectory.steps] == [0, 0, 1, 2, 2], "a chunk without facts takes one step"


def test_a_fact_is_shown_the_notes_that_resemble_it_most():
    story = make_episode(["Bern is cold.", "Tea is hot."], ["Tea is green.", "Oslo is far."])
    policy = Scripted(
        {"Bern": "Ann finds Bern cold.\nAnn likes hot tea.", "green": "Tea from Oslo is green."}, similar=1
    )
    play(policy, story)
    ((request,),) = policy.updated
    assert request == UpdateRequest(
        "Tea from Oslo is green.", (Note(2, "Ann likes hot tea."),), "2024-05-02T09:00", 0, 1
    )


def test_a_fact_that_resembles_nothing_is_added_without_asking():
    policy = Scripted({"bicycle": "Ann bought a red bicycle."})
    vector, _ = play(policy, tea_story())
    assert policy.updated == []
    assert held(vector) == ["Ann bought a red bicycle."]


@pytest.mark.parametrize(
    ("change", "after"),
    [
        ("ADD", ["Ann has a cat.", "Ann has a dog."]),
        ("UPDATE 1", ["Ann has a dog."]),
        ("UPDATE 1 Ann has a cat and a dog.", ["Ann has a cat and a dog."]),
        ("DELETE 1", []),
        ("NONE", ["Ann has a cat."]),
        ("UPDATE 2", ["Ann has a cat."]),
        ("perhaps", ["Ann has a cat."]),
    ],
)
def test_the_reply_decides_what_becomes_of_the_memory(change, after):
    story = make_episode(["I have a cat."], ["I have a dog."])
    policy = Scripted({"cat": "Ann has a cat.", "dog": "Ann has a dog."}, {"Ann has a dog.": change})
    vector, (trajectory,) = play(policy, story)
    assert held(vector) == after
    failed = [operation["code"] for step in trajectory.steps for operation in step.operations if operation["code"]]
    assert failed == (["parse"] if change in ("UPDATE 2", "perhaps") else [])


def test_two_facts_of_a_chunk_do_not_overwrite_each_other():
    story = make_episode(["I live in Bern."], ["Now I live in Porto, by the sea."])
    facts = "Ann lives in Porto.\nAnn lives by the sea."
    changes = {"Ann lives in Porto.": "UPDATE 1", "Ann lives by the sea.": "UPDATE 1"}
    vector, _ = play(Scripted({"Bern": "Ann lives in Bern.", "Porto": facts}, changes), story)
    assert held(vector) == ["Ann lives in Porto.", "Ann lives by the sea."]


def test_two_facts_of_a_chunk_may_delete_the_same_note():
    story = make_episode(["I live in Bern."], ["I left Bern."])
    facts = "Ann left Bern.\nAnn no longer lives in Bern."
    changes = {"Ann left Bern.": "DELETE 1", "Ann no longer lives in Bern.": "DELETE 1\nADD"}
    vector, (trajectory,) = play(Scripted({"live": "Ann lives in Bern.", "left": facts}, changes), story)
    assert held(vector) == ["Ann no longer lives in Bern."]
    assert all(operation["status"] == "ok" for step in trajectory.steps for operation in step.operations)


def test_episodes_are_worked_on_in_one_batch_whatever_each_is_at():
    """The second story has no facts in its first chunk: it is a step ahead. The first is run twice over."""
    stories = [
        make_episode(["I ski."], ["I ski a lot."], id_="a"),
        make_episode(["Hm."], ["I ski."], ["I ski a lot."], id_="b"),
    ]
    policy = Scripted({"a lot": "Ann skis a lot.", "ski": "Ann skis."}, {"Ann skis a lot.": "UPDATE 1"})
    vector, _ = play(policy, *stories, num_envs=3, indices=[0, 1, 0])
    assert [held(vector, number) for number in range(3)] == [["Ann skis a lot."]] * 3
    assert [[(r.episode, r.index) for r in batch] for batch in policy.extracted] == [
        [(0, 0), (1, 0), (0, 0)],
        [(1, 1)],
        [(0, 1), (0, 1)],
        [(1, 2)],
    ]
    assert [[(r.episode, r.index) for r in batch] for batch in policy.updated] == [[(0, 1), (0, 1)], [(1, 2)]]


@pytest.mark.parametrize("text", ["It's \"so\": a 'test'", "#3 x y", "back\\slash \u2028 ünï", "ends with:"])
def test_lookups_are_read_back_from_what_the_environment_says(text):
    env = make_env(make_episode(["Hm."], ["Hm."]))
    env.reset(options={"episode": 0})
    env.step([Operation("insert", "semantic", text), Operation("insert", "episodic", "undated", timestamp="")])
    observation, *_ = env.step(
        [Operation("delete", entry_id=99), Operation("search", text=text), Operation("search", text="zz")]
    )
    first, second = read_lookups(observation["results"])
    assert (first.fact, first.notes[:1]) == (text, (Note(1, text),))
    assert second == Lookup("zz", ())


def test_the_listener_hears_every_request_with_its_reply():
    heard = []
    policy = Scripted(
        {"Bern": "Ann lives in Bern."}, listener=lambda request, reply: heard.append((request, reply.text))
    )
    play(policy, make_episode(["I live in Bern."], ["Bern is nice."]))
    note = (Note(1, "Ann lives in Bern."),)
    assert heard == [
        (ExtractRequest("Ann: I live in Bern.", "2024-05-01T09:00", 0, 0), "Ann lives in Bern."),
        (ExtractRequest("Ann: Bern is nice.", "2024-05-02T09:00", 0, 1), "Ann lives in Bern."),
        (UpdateRequest("Ann lives in Bern.", note, "2024-05-02T09:00", 0, 1), "ADD"),
    ]


# --- The prompts -----------------------------------------------------------------------------------------------------


def test_the_prompts_show_the_day_the_chunk_the_notes_and_the_fact():
    assert extract_prompt.user_text("Ann: Hm.\nPer: So.", "2024-05-01T09:00") == "1 May 2024\nAnn: Hm.\nPer: So."
    assert extract_prompt.user_text("Ann: Hm.", "") == "Ann: Hm."
    notes = [Note(9, "Ann has a cat."), Note(2, "Ann skis.")]
    expected = "1 Ann has a cat.\n2 Ann skis.\nNew (1 May 2024): Ann has a dog."
    assert update_prompt.user_text("Ann has a dog.", notes, "2024-05-01") == expected


# --- The adapters ----------------------------------------------------------------------------------------------------


@pytest.fixture
def adapted(own_backbone):
    """A tiny Llama with three adapters that do something, each something else."""
    for number, name in enumerate(("extract", "update", "answer")):
        add_adapter(own_backbone, adapter_name(name), SMALL, seed=number)
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():
            for key, parameter in own_backbone.model.named_parameters():
                if "lora_B" in key and f".{adapter_name(name)}." in key:
                    parameter.normal_(std=0.3, generator=generator)
    return own_backbone


def logits(backbone, adapter):
    with torch.no_grad(), active_adapter(backbone, adapter and adapter_name(adapter)):
        return backbone.model(torch.tensor([[5, 6, 7, 8]])).logits


def test_switching_to_another_adapter_and_back_reproduces_logits_exactly(adapted):
    first, other, again = (logits(adapted, name) for name in ("extract", "update", "extract"))
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_fresh_adapters_change_nothing(own_backbone):
    before = logits(own_backbone, None)
    for name in ("extract", "update"):
        add_adapter(own_backbone, adapter_name(name), SMALL)
        assert torch.equal(logits(own_backbone, name), before)


def test_each_operation_is_written_with_its_own_adapter(adapted):
    extraction = [ExtractRequest("Ann: I ski.", "2024-05-01", 0, 0)]
    update = [UpdateRequest("Ann skis.", (Note(1, "Ann has a cat."),), "2024-05-01", 0, 0)]

    def replies(**adapters):
        policy = MemLoRA(adapted, max_new_tokens=8, **adapters)
        return policy.extract(extraction)[0].completion_ids, policy.update(update)[0].completion_ids

    both = replies()
    assert both == (replies(update=None)[0], replies(extract=None)[1])
    swapped, bare = replies(extract="memory_update", update="memory_extract"), replies(extract=None, update=None)
    assert both[0] != swapped[0] and both[1] != swapped[1]
    assert both[0] != bare[0] and both[1] != bare[1]


def test_memlora_acts_in_an_environment_and_keeps_the_tokens_of_extractions(adapted):
    policy = make_agent("memlora", task=None, backbone=adapted, max_new_tokens=12)
    _, (trajectory,) = play(policy, tea_story())
    for step in trajectory.steps:
        searches = [operation.text for operation in step.decision.operations if operation.kind == "search"]
        if step.decision.prompt_ids:
            assert searches == read_facts(step.decision.text, truncated=step.decision.truncated)
            text = adapted.tokenizer.decode(step.decision.completion_ids, skip_special_tokens=True)
            assert text == step.decision.text
        else:
            assert searches == []
            assert bool(step.decision.completion_ids) == bool(step.decision.text)  # counted, not trained
    assert {step.chunk for step in trajectory.steps if step.decision.prompt_ids} == {0, 1, 2}


def test_sampling_repeats_with_its_seed(adapted):
    def texts(seed):
        policy = MemLoRA(adapted, max_new_tokens=8, temperature=1.0, seed=seed)
        return [policy.extract([ExtractRequest("Ann: I ski.", "", 0, 0)])[0].text for _ in range(2)]

    assert texts(1) == texts(1) != texts(2)
    assert len(set(texts(1))) == 2


def test_adapters_are_loaded_from_a_folder_of_one_per_operation(adapted, tmp_path):
    for name in ("extract", "update", "answer"):
        save_adapter(adapted, adapter_name(name), tmp_path / name)
    fresh = load_backbone("tiny-llama", device="cpu")
    assert load_adapters(fresh, tmp_path) == ("extract", "update", "answer")
    for name in ("extract", "update", "answer"):
        assert torch.equal(logits(fresh, name), logits(adapted, name))


def test_what_is_missing_is_said(adapted, own_backbone, tmp_path):
    save_adapter(adapted, "memory_extract", tmp_path / "extract")
    with pytest.raises(ValueError, match=r"no MemLoRA adapters in .*: expected sub-folders extract, update"):
        load_adapters(own_backbone, tmp_path)
    with pytest.raises(
        ValueError, match=r"has no adapter 'improve' \(it has: memory_extract, memory_update, memory_answer\)"
    ):
        MemLoRA(adapted, update="improve")
    with pytest.raises(ValueError, match="prompt style 'long': expected one of terse, full"):
        MemLoRA(adapted, style="long")
    adapted.trained_as["memory_update"] = {"role": "manager"}
    with pytest.raises(ValueError, match="the adapter was trained as manager, not as update"):
        MemLoRA(adapted)


def test_the_prompt_style_is_the_one_each_adapter_was_trained_with(adapted):
    adapted.trained_as["memory_update"] = {"role": "update", "style": "full"}
    assert MemLoRA(adapted).styles == {"extract": "terse", "update": "full"}
    with pytest.raises(ValueError, match="the adapter was trained with style='full', not 'terse'"):
        MemLoRA(adapted, style="terse")
