import pytest
import torch
from safetensors.torch import load_file

from agents import engram
from agents.backbone import active_adapter, load_adapter, load_backbone
from train import grpo, sft
from train.callbacks import read_metrics
from train.settings import BackboneSettings, LoraShape
from train.setup import build_policy, save_policy

SMALL = {"heads": 2, "rows": 101, "row_dim": 4}
ENGRAM = ["--backbone.engram", "{heads: 2, rows: 101, row_dim: 4}"]
SFT = ["--teacher", "oracle", "--episodes", "4", "--batch_size", "4", "--learning_rate", "3e-2"]
GRPO = [
    *("--group_size", "2", "--episodes_per_step", "2", "--turns_per_trajectory", "2", "--micro_batch_size", "4"),
    *("--eval_env", "{split: validation}", "--eval_episodes", "2", "--learning_rate", "1e-2"),
]
DIFFERING = [
    # The shape and seed with which the samples of the first step differ in reward: most of a random model's do not.
    *("--seed", "16", "--group_size", "4", "--episodes_per_step", "2", "--turns_per_trajectory", "2"),
    *("--micro_batch_size", "8", "--max_steps", "1", "--eval_every", "99", "--learning_rate", "1e-2"),
    *("--eval_env", "{split: validation}", "--eval_episodes", "2", "--grpo", "{beta: 0.1}"),
]
LORA = LoraShape(rank=4, alpha=8)


@pytest.fixture(scope="module")
def warm_start(tiny_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("engram") / "sft"
    sft.main([*tiny_run, *SFT, *ENGRAM, "--output_dir", str(folder), "--max_steps", "4", "--save_every", "2"])
    return folder


def weights_of(folder):
    return load_file(folder / "engram.safetensors")


def logits(backbone, ids=((5, 6, 7, 8, 9, 10),)):
    with torch.no_grad():
        return backbone.model(torch.tensor(ids)).logits


def test_a_warm_start_trains_the_shared_tables_and_saves_them_beside_the_adapter(warm_start):
    tables = [tensor for name, tensor in weights_of(warm_start / "adapter").items() if name.endswith("table.weight")]
    assert len(tables) == 2
    for table in tables:
        assert 0 < table.any(dim=1).float().mean() < 1  # rows that were read moved, the others are still zero
    backbone = load_backbone("tiny-llama", device="cpu")
    load_adapter(backbone, warm_start / "adapter", "trained")
    with_engram = logits(backbone)
    with engram.engram_off(backbone.model):
        assert not torch.equal(logits(backbone), with_engram)


def test_gate_statistics_are_logged_at_every_step_and_drawn(warm_start):
    rows = [row for row in read_metrics(warm_start / "metrics.jsonl") if "loss" in row]
    assert all(0 < row["engram/layer1/gate_mean"] < 1 and row["engram/layer1/rows_touched"] > 0 for row in rows)
    assert (warm_start / "gates.png").stat().st_size > 1000


def test_an_interrupted_warm_start_ends_with_the_same_engram(
    warm_start, tiny_run, tmp_path, run_until_power_cut, adapter_weights
):
    arguments = [*tiny_run, *SFT, *ENGRAM, "--output_dir", str(tmp_path), "--max_steps", "4", "--save_every", "2"]
    run_until_power_cut(sft, arguments, after=3)
    sft.main([*arguments, "--resume", "true"])
    for read, folder in ((weights_of, "adapter"), (adapter_weights, "adapter")):
        expected, resumed = read(warm_start / folder), read(tmp_path / folder)
        assert all(torch.equal(resumed[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize("share_prefixes", ["false", "true"])
def test_grpo_moves_the_tables_of_a_fresh_engram(tiny_run, tmp_path, share_prefixes):
    options = ["--grpo.beta", "0", "--share_prefixes", share_prefixes, "--output_dir", str(tmp_path)]
    grpo.main([*tiny_run, *DIFFERING, *ENGRAM, *options])
    (row,) = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "reward_std" in row]
    assert row["reward_std"] > 0
    tables = [tensor for name, tensor in weights_of(tmp_path / "adapter").items() if name.endswith("table.weight")]
    assert len(tables) == 2
    for table in tables:
        assert 0 < table.any(dim=1).float().mean() < 1


@pytest.mark.parametrize("start", ["fresh", "warm"])
def test_grpo_has_no_reference_for_tables_that_are_trained_and_shared(warm_start, tiny_run, tmp_path, start):
    warm = ["--backbone.adapter", str(warm_start / "adapter"), "--backbone.train_engram", "shared"]
    with pytest.raises(SystemExit, match=r"engram.* is trained and belongs to no adapter, .* or grpo\.beta to 0$"):
        grpo.main([*tiny_run, *DIFFERING, *(ENGRAM if start == "fresh" else warm), "--output_dir", str(tmp_path)])


def test_grpo_with_an_engram_of_the_adapter_keeps_a_copy_of_it_as_reference(tiny_run, tmp_path, adapter_weights):
    own = ["--backbone.train_engram", "adapter", "--output_dir", str(tmp_path)]
    grpo.main([*tiny_run, *DIFFERING, *ENGRAM, *own])
    (row,) = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "kl" in row]
    assert row["kl"] == 0
    tables = [tensor for name, tensor in adapter_weights(tmp_path / "adapter").items() if name.endswith("table.weight")]
    assert len(tables) == 2
    assert all(table.any() for table in tables)
    assert not any(tensor.any() for name, tensor in weights_of(tmp_path / "adapter").items() if "table" in name)


@pytest.mark.parametrize("share_prefixes", ["false", "true"])
def test_grpo_goes_on_from_it_with_a_kl_of_exactly_zero_at_the_first_step(
    warm_start, tiny_run, tmp_path, share_prefixes
):
    grpo.main(
        [
            *tiny_run,
            *GRPO,
            *("--backbone.adapter", str(warm_start / "adapter")),
            *("--grpo", "{beta: 0.1}", "--share_prefixes", share_prefixes),
            *("--output_dir", str(tmp_path), "--max_steps", "1"),
        ]
    )
    (row,) = [row for row in read_metrics(tmp_path / "metrics.jsonl") if "kl" in row]
    assert row["kl"] == 0
    assert weights_of(tmp_path / "adapter").keys() == weights_of(warm_start / "adapter").keys()


def test_an_engram_that_came_with_an_adapter_stays_frozen_unless_asked_for(warm_start):
    policy = build_policy(BackboneSettings("tiny-llama", adapter=str(warm_start / "adapter")), LORA, 0)
    trained = [name for name, parameter in policy.model.named_parameters() if parameter.requires_grad]
    assert trained
    assert all("lora_" in name for name in trained)


def test_an_engram_of_its_own_is_trained_and_saved_with_the_adapter(tmp_path):
    policy = build_policy(BackboneSettings("tiny-llama", engram=SMALL, train_engram="adapter"), LORA, 0)
    plain = logits(load_backbone("tiny-llama", device="cpu"))
    assert torch.equal(logits(policy), plain)
    for name, parameter in policy.model.named_parameters():
        if parameter.requires_grad and name.endswith("table.weight"):
            parameter.data.normal_(generator=torch.Generator().manual_seed(0))
    trained = logits(policy)
    assert not torch.equal(trained, plain)
    with active_adapter(policy, None):
        assert torch.equal(logits(policy), plain)
    save_policy(policy, tmp_path)
    loaded = load_backbone("tiny-llama", device="cpu")
    load_adapter(loaded, tmp_path / "adapter", "trained")
    torch.testing.assert_close(logits(loaded), trained, rtol=1e-5, atol=1e-5)


def test_adapters_made_without_engram_compute_without_it(warm_start, tmp_path):
    answerer = build_policy(BackboneSettings("tiny-llama"), LORA, 1)
    save_policy(answerer, tmp_path)
    backbone = load_backbone("tiny-llama", device="cpu")
    plain = logits(backbone)
    load_adapter(backbone, warm_start / "adapter", "manager")
    load_adapter(backbone, tmp_path / "adapter", "answerer")
    with active_adapter(backbone, "answerer"):
        assert torch.equal(logits(backbone), plain)  # a fresh adapter changes nothing
    with active_adapter(backbone, None):
        assert torch.equal(logits(backbone), plain)
    with active_adapter(backbone, "manager"):
        assert not torch.equal(logits(backbone), plain)


def test_two_different_engrams_on_one_backbone_are_refused(warm_start, tmp_path):
    other = build_policy(BackboneSettings("tiny-llama", engram=SMALL), LORA, 1)
    save_policy(other, tmp_path)
    backbone = load_backbone("tiny-llama", device="cpu")
    load_adapter(backbone, warm_start / "adapter", "manager")
    with pytest.raises(ValueError, match="is another one than that of backbone"):
        load_adapter(backbone, tmp_path / "adapter", "other")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (BackboneSettings("tiny-llama", engram=True, train_engram="all"), "expected one of shared, adapter, frozen"),
        (BackboneSettings("tiny-llama", engram={"rowz": 3}), "Engram has no setting rowz"),
        (BackboneSettings("tiny-llama", engram=True, adapter="x"), "brings the Engram it was trained with"),
    ],
)
def test_settings_that_mean_nothing_end_with_one_line(settings, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        build_policy(settings, LORA, 0)
