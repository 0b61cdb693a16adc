import gymnasium
import pytest
import torch

from agents.answer_policy import AnswerPolicy
from agents.answerer import AnswerAgent
from agents.backbone import LoraSettings, add_adapter, save_adapter
from agents.manager import MemoryManager
from tests.scripted import tea_story, write_custom
from train import setup
from train.settings import BackboneSettings, EnvSettings, LoraShape
from train.setup import PolicySettings, build_env, build_policy, last_checkpoint, trained_policy, with_answerer

TINY = BackboneSettings("tiny-llama")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (EnvSettings("memgym/Nowhere-v0"), "memgym/Nowhere-v0: "),
        (EnvSettings(kwargs={"colour": "red"}), "memgym/Dialogue-v0: .*colour"),
        (EnvSettings(kwargs={"budget": -1}), "memgym/Dialogue-v0: .*-1"),
        (EnvSettings("memgym/Custom-v0", {"path": "nowhere.jsonl"}), r"memgym/Custom-v0: .*nowhere\.jsonl"),
    ],
)
def test_settings_that_make_no_environment_end_with_one_line(settings, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        build_env(settings, 1)
    assert "\n" not in str(raised.value.code)


def test_changes_keep_what_stands_beside_them():
    settings = EnvSettings(kwargs={"split": "train", "dialogue": {"chunks": 2, "questions": 3}})
    for number in range(2):  # the settings themselves are not changed
        env = build_env(settings, 1, {"split": "validation", "dialogue": {"chunks": 4 + number}})
        episode = env.task.episode(0)
        assert (len(episode.chunks), len(episode.questions)) == (4 + number, 3)


def test_another_kind_of_environment_is_refused(monkeypatch):
    monkeypatch.setattr(gymnasium, "make_vec", lambda *args, **kwargs: object())
    with pytest.raises(SystemExit, match=r"error: env.id=memgym/Dialogue-v0: not a memory environment"):
        build_env(EnvSettings(), 1)


@pytest.mark.parametrize(
    ("backbone", "lora", "message"),
    [
        (BackboneSettings("nowhere"), LoraShape(), "backbone 'nowhere' is neither a folder with a model"),
        (BackboneSettings("tiny-llama", adapter="nowhere"), LoraShape(), "no adapter in nowhere"),
        (BackboneSettings("tiny-llama", dtype="float"), LoraShape(), "dtype 'float': expected one of"),
        (TINY, LoraShape(dtype="int8"), "lora.dtype='int8': expected one of float32, bfloat16, float16"),
        (TINY, LoraShape(rank=0), "LoRA rank=0"),
    ],
)
def test_settings_that_make_no_policy_end_with_one_line(backbone, lora, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        build_policy(backbone, lora, 0)
    assert "\n" not in str(raised.value.code)


def trained_parameters(policy):
    return {name: p.detach() for name, p in policy.model.named_parameters() if p.requires_grad}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_adapter_alone_is_trained_in_the_dtype_asked_for(dtype):
    policy = build_policy(TINY, LoraShape(rank=2, dtype=str(dtype).removeprefix("torch.")), 0)
    trained = trained_parameters(policy)
    assert policy.adapters == ("default",)
    assert {tensor.dtype for tensor in trained.values()} == {dtype}
    assert all("lora_" in name for name in trained)


def test_the_top_layers_can_be_trained_alone():
    names = trained_parameters(build_policy(TINY, LoraShape(rank=2, top_layers=1), 0))
    assert names
    assert all(".layers.1." in name for name in names)


def test_a_policy_goes_on_from_a_saved_adapter_whatever_its_own_shape(own_backbone, tmp_path):
    add_adapter(own_backbone, "teacher", LoraSettings(rank=3), seed=5)
    save_adapter(own_backbone, "teacher", tmp_path / "adapter")
    policy = build_policy(BackboneSettings("tiny-llama", adapter=str(tmp_path / "adapter")), LoraShape(rank=8), 0)
    saved = {name.replace(".teacher.", ".default."): p for name, p in own_backbone.model.named_parameters()}
    trained = trained_parameters(policy)
    assert trained
    assert all(torch.equal(tensor, saved[name]) for name, tensor in trained.items())


def test_a_seed_decides_the_fresh_adapter():
    first, again, other = (trained_parameters(build_policy(TINY, LoraShape(rank=2), seed)) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.fixture
def answer_env(tmp_path):
    source = {"path": str(write_custom(tmp_path / "stories.jsonl", tea_story()))}
    return EnvSettings(
        "memgym/MemoryR1Answer-v0", {"source": "memgym/Custom-v0", "split": "test", "source_kwargs": source}
    )


def test_the_environment_decides_what_is_trained(answer_env):
    backbone = build_policy(TINY, LoraShape(rank=2), 0)
    answerer = trained_policy(backbone, PolicySettings(distil=False, max_new_tokens=7), build_env(answer_env, 1), 0)
    assert (type(answerer), answerer.adapter, answerer.temperature) == (AnswerPolicy, "default", 1.0)
    assert backbone.trained_as["default"] == {
        **{"role": "answerer", "distil": False, "max_new_tokens": 7},
        "env": {"retrieve": 60, "neighbours": 0, "calendar_dates": False, "context_tokens": 4000},
    }
    with pytest.raises(ValueError, match="the adapter was trained as answerer, not as manager"):
        trained_policy(backbone, PolicySettings(), build_env(EnvSettings(), 1), 0)
    other = build_policy(TINY, LoraShape(rank=2), 0)
    manager = trained_policy(other, PolicySettings(style="quote", temperature=0.5), build_env(EnvSettings(), 1), 0)
    assert (type(manager), manager.style, manager.temperature) == (MemoryManager, "quote", 0.5)
    assert other.trained_as["default"] == {
        **manager.record,
        "env": {
            **{"shown": 5, "show": "recent", "max_operations": 32, "max_steps_per_chunk": 3},
            **{"retrieve": 20, "neighbours": 0, "calendar_dates": False, "context_tokens": 2000},
        },
    }


def test_an_answerer_goes_on_as_its_adapter_was_trained(answer_env):
    backbone = build_policy(TINY, LoraShape(rank=2), 0)
    backbone.trained_as["default"] = AnswerAgent(backbone, "default").record
    assert trained_policy(backbone, PolicySettings(), build_env(answer_env, 1), 0).distil is False


def test_settings_of_the_other_role_are_refused(answer_env):
    backbone = build_policy(TINY, LoraShape(rank=2), 0)
    for changes in ({"style": "quote"}, {"codec": "memory_r1"}, {"search": True}):
        with pytest.raises(ValueError, match=r"agent\..* is a Memory Manager's: this policy has a format of its own"):
            trained_policy(backbone, PolicySettings(**changes), build_env(answer_env, 1), 0)
    with pytest.raises(
        ValueError, match=r"agent\.distil=False is an Answer Agent's: this environment takes operations"
    ):
        trained_policy(backbone, PolicySettings(distil=False), build_env(EnvSettings(), 1), 0)
    with pytest.raises(ValueError, match=r"answerer='here': in memgym/MemoryR1Answer-v0 the policy .* answers itself"):
        with_answerer(answer_env, "here", backbone)


@pytest.mark.parametrize(("asked", "window"), [(None, 2000), (300, 2000), (4000, 4000)])
def test_a_frozen_answerer_sees_all_that_the_environment_shows(tmp_path, asked, window):
    backbone = build_policy(TINY, LoraShape(rank=2), 0)
    add_adapter(backbone, "answer", LoraSettings(rank=2))
    save_adapter(backbone, "answer", tmp_path / "answer")
    backbone = build_policy(TINY, LoraShape(rank=2), 0)
    settings = EnvSettings(kwargs={} if asked is None else {"context_tokens": asked})
    env = build_env(with_answerer(settings, str(tmp_path / "answer"), backbone), 1)
    assert env.exam.reader.window == window


def test_the_last_checkpoint_is_the_one_of_the_highest_step(tmp_path):
    for step in (2, 10, 9):
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


@pytest.mark.parametrize("folder", [".", "missing"])
def test_without_a_checkpoint_there_is_nothing_to_resume(tmp_path, folder):
    with pytest.raises(SystemExit, match="error: --resume true, but there is no checkpoint in"):
        last_checkpoint(tmp_path / folder)


def test_an_adapter_is_saved_where_evaluations_look_for_it(tmp_path):
    policy = build_policy(TINY, LoraShape(rank=2), 0)
    setup.save_policy(policy, tmp_path)
    assert (tmp_path / "adapter" / "adapter_config.json").is_file()
