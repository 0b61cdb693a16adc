import json

import pytest
import torch

from agents.backbone import load_backbone
from agents.engram import engram_layers, has_engram, hasher_of, is_attached, load_engram, save_engram

IDS = torch.arange(3, 43).reshape(2, 20)


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


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
    path = tmp_path / "engram_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
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
