import pytest
import torch
from peft import LoraConfig, get_peft_model

from agents.backbone import (
    LoraSettings,
    active_adapter,
    add_adapter,
    load_adapter,
    load_backbone,
    lora_config,
    save_adapter,
)
from agents.engram import (
    attach,
    engram_layers,
    engram_off,
    is_attached,
    load_engram,
    save_engram,
    set_trainable,
    shared_layers,
)

IDS = torch.arange(3, 43).reshape(2, 20)


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def train(model, steps=3):
    """A few steps of whatever is trainable."""
    optimiser = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        model(IDS, labels=IDS).loss.backward()
        optimiser.step()


def test_a_fresh_adapter_on_an_engram_backbone_changes_no_bit_and_freezes_engram(
    each_tiny_backbone, small, fill_engram
):
    attach(each_tiny_backbone.model, each_tiny_backbone.tokenizer, small(conv=True))
    fill_engram(each_tiny_backbone.model)
    before = logits(each_tiny_backbone.model)
    add_adapter(each_tiny_backbone, "default")
    model = each_tiny_backbone.model
    assert torch.equal(logits(model), before)
    trainable = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trainable and all("lora_" in name for name in trainable)


def test_lora_wraps_no_projection_of_engram(grafted):
    backbone = grafted()
    model = get_peft_model(backbone.model, lora_config(backbone.model, LoraSettings()))
    wrapped = {name.rsplit(".lora_A", 1)[0] for name, _ in model.named_modules() if name.endswith(".lora_A")}
    assert wrapped and not any("engram" in name for name in wrapped)


def test_nor_does_lora_on_all_linear_layers_and_naming_them_is_refused(grafted):
    model = get_peft_model(grafted().model, LoraConfig(target_modules="all-linear", task_type="CAUSAL_LM"))
    wrapped = [name for name, _ in model.named_modules() if name.endswith(".lora_A")]
    assert wrapped and not any("engram" in name for name in wrapped)
    with pytest.raises(ValueError, match="is not supported"):
        get_peft_model(grafted().model, LoraConfig(target_modules=r".*\.(key|value)_proj", task_type="CAUSAL_LM"))


def test_the_frozen_engram_is_shared_by_all_adapters_and_stays_on_when_they_are_off(grafted):
    backbone = grafted(conv=True)
    start = logits(backbone.model)
    for name in ("default", "other"):
        add_adapter(backbone, name, seed=len(name))
    assert len(shared_layers(backbone.model)) == len(engram_layers(backbone.model)) == 2
    train(backbone.model)
    assert not torch.allclose(logits(backbone.model), start)
    with active_adapter(backbone, None):
        torch.testing.assert_close(logits(backbone.model), start, rtol=1e-6, atol=1e-6)
    with active_adapter(backbone, "default"):
        torch.testing.assert_close(logits(backbone.model), start, rtol=1e-6, atol=1e-6)
    with backbone.model.disable_adapter(), engram_off(backbone.model):
        assert not torch.allclose(logits(backbone.model), start)


def test_engram_can_be_trained_beside_a_frozen_or_trained_adapter(grafted):
    backbone = grafted()
    add_adapter(backbone, "default")
    set_trainable(backbone.model, True)
    before = [layer.table.weight.detach().clone() for layer in engram_layers(backbone.model).values()]
    train(backbone.model)
    after = [layer.table.weight for layer in engram_layers(backbone.model).values()]
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_attaching_beside_existing_adapters_works_through_the_peft_model(own_backbone, small):
    add_adapter(own_backbone, "default")
    before = logits(own_backbone.model)
    attach(own_backbone.model, own_backbone.tokenizer, small())
    assert is_attached(own_backbone.model) and torch.equal(logits(own_backbone.model), before)


@pytest.fixture
def per_adapter(grafted):
    """A backbone whose adapter trains an Engram of its own."""
    backbone = grafted()
    config = lora_config(backbone.model, LoraSettings(rank=4))
    config.modules_to_save = ["engram"]
    backbone.model = get_peft_model(backbone.model, config)
    return backbone


def test_an_adapter_can_train_an_engram_of_its_own(per_adapter):
    model, start = per_adapter.model, logits(per_adapter.model)
    own, shared = engram_layers(model), shared_layers(model)
    original = {index: layer.table.weight.detach().clone() for index, layer in shared.items()}
    train(model)
    for index in own:
        assert not torch.equal(own[index].table.weight, original[index])
        assert torch.equal(shared[index].table.weight, original[index])
    with model.disable_adapter():
        assert engram_layers(model)[0] is shared[0]
        torch.testing.assert_close(logits(model), start, rtol=1e-6, atol=1e-6)


def test_an_engram_per_adapter_is_saved_and_loaded_with_its_adapter(per_adapter, tmp_path):
    save_engram(per_adapter.model, tmp_path)  # the shared one
    train(per_adapter.model)
    save_adapter(per_adapter, "default", tmp_path)
    fresh = load_backbone("tiny-llama", device="cpu")
    load_engram(fresh.model, fresh.tokenizer, tmp_path)
    load_adapter(fresh, tmp_path, "again")
    torch.testing.assert_close(logits(fresh.model), logits(per_adapter.model), rtol=1e-6, atol=1e-5)
    assert len([name for name, _ in fresh.model.named_modules() if name.endswith("modules_to_save.again")]) == 2


def test_engram_off_reaches_the_copies_of_adapters(per_adapter):
    train(per_adapter.model)
    on = logits(per_adapter.model)
    with engram_off(per_adapter.model):
        off = logits(per_adapter.model)
    assert not torch.equal(on, off) and torch.equal(logits(per_adapter.model), on)


def test_merging_an_adapter_keeps_engram(grafted):
    backbone = grafted()
    add_adapter(backbone, "default")
    train(backbone.model)
    before = logits(backbone.model)
    merged = backbone.model.merge_and_unload()
    assert is_attached(merged)
    torch.testing.assert_close(logits(merged), before, rtol=1e-4, atol=1e-4)
