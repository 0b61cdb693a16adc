import json

import pytest
import torch

from agents.backbone import load_backbone
from agents.engram import (
    engram_layers,
    has_engram,
    hasher_of,
    is_attached,
    is_saved_in,
    load_engram,
    reload_engram,
    save_engram,
)
from agents.engram.host import HostTable

IDS = torch.arange(3, 43).reshape(2, 20)


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def change_record(folder, change):
    path = folder / "engram_config.json"
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


@pytest.mark.parametrize("device", ["model", "host"])
def test_a_saved_engram_loads_bit_equal_onto_the_plain_backbone(grafted, tmp_path, device):
    saved = grafted(conv=True, device=device)
    save_engram(saved.model, tmp_path / "new" / "folder")
    fresh = load_backbone("tiny-llama", device="cpu")
    load_engram(fresh.model, fresh.tokenizer, tmp_path / "new" / "folder")
    assert torch.equal(logits(fresh.model), logits(saved.model))
    assert hasher_of(fresh.model).config == hasher_of(saved.model).config
    ids = hasher_of(saved.model).compress(IDS)
    assert torch.equal(hasher_of(fresh.model)(ids), hasher_of(saved.model)(ids))
    assert type(engram_layers(fresh.model)[0].table) is type(engram_layers(saved.model)[0].table)


def test_a_folder_with_a_model_and_its_engram_loads_as_a_backbone_with_both(grafted, tmp_path):
    saved = grafted(conv=True)
    saved.model.save_pretrained(tmp_path)
    saved.tokenizer.save_pretrained(tmp_path)
    save_engram(saved.model, tmp_path)
    loaded = load_backbone(str(tmp_path), dtype="float32", device="cpu").model
    assert torch.equal(logits(loaded), logits(saved.model))
    assert not any(
        parameter.requires_grad for layer in engram_layers(loaded).values() for parameter in layer.parameters()
    )


def test_the_folder_says_what_the_addresses_depend_on(grafted, tmp_path):
    save_engram(grafted().model, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["engram.safetensors", "engram_config.json"]
    record = json.loads((tmp_path / "engram_config.json").read_text())
    assert record["config"]["layers"] == [0, 1] and record["config"]["rows"] == 503
    assert (record["compressed_ids"], record["hidden_size"], record["vocab_size"]) == (230, 32, 259)
    assert record["primes"][0][0] == [503, 509, 521, 523] and len(record["vocabulary"]) == 64
    assert has_engram(tmp_path) and not has_engram(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"compressed_ids": 231}, "compressed_ids"),
        ({"vocabulary": "0" * 64}, "vocabulary"),
        ({"padding": 5, "hidden_size": 64}, "hidden_size, padding"),
        ({"primes": [[[2]]]}, "primes"),
    ],
)
def test_a_mismatch_is_one_clear_line_and_leaves_the_model_alone(grafted, own_backbone, tmp_path, change, names):
    save_engram(grafted().model, tmp_path)
    change_record(tmp_path, lambda record: record.update(change))
    message = rf"^the Engram in .* belongs to another model or tokenizer \({names} differ\): load it with the backbone"
    with pytest.raises(ValueError, match=message):
        load_engram(own_backbone.model, own_backbone.tokenizer, tmp_path)
    assert not is_attached(own_backbone.model)


def test_another_tokenizer_is_noticed(grafted, own_backbone, tmp_path):
    save_engram(grafted().model, tmp_path)
    own_backbone.tokenizer.add_tokens(["<new>"])
    with pytest.raises(ValueError, match=r"\(compressed_ids, vocabulary differ\)"):
        load_engram(own_backbone.model, own_backbone.tokenizer, tmp_path)


def test_a_folder_without_engram_and_a_second_engram_are_refused(grafted, own_backbone, tmp_path):
    with pytest.raises(ValueError, match=r"^no Engram in .*: expected engram_config.json and engram.safetensors$"):
        load_engram(own_backbone.model, own_backbone.tokenizer, tmp_path)
    backbone = grafted()
    save_engram(backbone.model, tmp_path)
    with pytest.raises(ValueError, match=r"^the model has an Engram already: detach it first$"):
        load_engram(backbone.model, backbone.tokenizer, tmp_path)


def test_weights_that_do_not_fit_the_configuration_are_refused_and_leave_the_model_alone(
    grafted, own_backbone, tmp_path
):
    save_engram(grafted().model, tmp_path)
    change_record(tmp_path, lambda record: record["config"].update(row_dim=2))
    names, before = list(own_backbone.model.state_dict()), logits(own_backbone.model)
    with pytest.raises(ValueError, match=r"^the Engram in .* has another shape than its configuration"):
        load_engram(own_backbone.model, own_backbone.tokenizer, tmp_path)
    assert not is_attached(own_backbone.model) and list(own_backbone.model.state_dict()) == names
    assert torch.equal(logits(own_backbone.model), before)


def test_tables_may_be_loaded_to_another_place_than_they_were_saved_from(grafted, own_backbone, tmp_path):
    saved = grafted(device="model").model
    save_engram(saved, tmp_path)
    load_engram(own_backbone.model, own_backbone.tokenizer, tmp_path, device="host")
    assert all(isinstance(layer.table, HostTable) for layer in engram_layers(own_backbone.model).values())
    assert torch.equal(logits(own_backbone.model), logits(saved))
    assert is_saved_in(own_backbone.model, tmp_path)
    with pytest.raises(ValueError, match=r"^Engram device='disk': expected one of model, host$"):
        fresh = load_backbone("tiny-llama", device="cpu")
        load_engram(fresh.model, fresh.tokenizer, tmp_path, device="disk")


# Into an Engram that is attached


def test_reloading_puts_back_every_weight(grafted, fill_engram, tmp_path):
    model = grafted(conv=True).model
    save_engram(model, tmp_path)
    saved, before = logits(model), {name: weight.clone() for name, weight in model.state_dict().items()}
    fill_engram(model, seed=1)
    assert not torch.equal(logits(model), saved)
    reload_engram(model, tmp_path)
    assert torch.equal(logits(model), saved)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())


def test_reloading_keeps_the_tables_themselves_so_that_an_optimiser_goes_on_with_them(grafted, tmp_path):
    model = grafted().model
    save_engram(model, tmp_path)
    tables = [layer.table.weight for layer in engram_layers(model).values()]
    reload_engram(model, tmp_path)
    assert all(layer.table.weight is table for layer, table in zip(engram_layers(model).values(), tables, strict=True))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": "0" * 64}, r"belongs to another model or tokenizer \(vocabulary differ\)"),
        ({"compressed_ids": 231}, r"belongs to another model or tokenizer \(compressed_ids differ\)"),
    ],
)
def test_reloading_what_belongs_elsewhere_is_refused(grafted, fill_engram, tmp_path, change, message):
    model = grafted().model
    save_engram(model, tmp_path)
    change_record(tmp_path, lambda record: record.update(change))
    fill_engram(model, seed=1)
    before = logits(model)
    with pytest.raises(ValueError, match=message):
        reload_engram(model, tmp_path)
    assert torch.equal(logits(model), before)


@pytest.mark.parametrize("changes", [{"row_dim": 4}, {"conv": True}])
def test_reloading_another_shape_or_nothing_is_refused(grafted, tmp_path, changes):
    model = grafted().model
    with pytest.raises(ValueError, match=r"^no Engram in .*: expected engram_config.json and engram.safetensors$"):
        reload_engram(model, tmp_path)
    save_engram(grafted(**changes).model, tmp_path)
    before = logits(model)
    with pytest.raises(ValueError, match=r"^the Engram in .* has another shape than its configuration or the one"):
        reload_engram(model, tmp_path)
    assert torch.equal(logits(model), before)


def test_an_engram_is_known_by_every_one_of_its_numbers(grafted, tmp_path):
    model = grafted(conv=True).model
    save_engram(model, tmp_path)
    assert is_saved_in(model, tmp_path)
    for parameter in [p for layer in engram_layers(model).values() for p in layer.parameters()]:
        value = parameter.data.flatten()[0].clone()
        parameter.data.view(-1)[0] = value + 1
        assert not is_saved_in(model, tmp_path)
        parameter.data.view(-1)[0] = value
    assert is_saved_in(model, tmp_path)


@pytest.mark.parametrize(
    "changes", [{"layers": (1,)}, {"rows": 601}, {"row_dim": 4}, {"heads": 2}, {"seed": 1}, {"conv": True}]
)
def test_another_engram_is_not_the_one_in_the_folder(grafted, tmp_path, changes):
    save_engram(grafted(**changes).model, tmp_path)
    assert not is_saved_in(grafted().model, tmp_path)


def test_comparing_with_a_folder_or_a_model_without_engram_is_refused(grafted, tiny_backbone, tmp_path):
    with pytest.raises(ValueError, match=r"^no Engram in "):
        is_saved_in(grafted().model, tmp_path)
    save_engram(grafted().model, tmp_path)
    with pytest.raises(ValueError, match=r"^the model has no Engram"):
        is_saved_in(tiny_backbone.model, tmp_path)
