import copy

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from agents.engram import (
    EngramConfig,
    attach,
    detach,
    engram_layers,
    engram_off,
    hasher_of,
    is_attached,
    set_trainable,
)

IDS = torch.arange(3, 43).reshape(2, 20)


def logits(model, ids=IDS, **kwargs):
    with torch.no_grad():
        return model(ids, **kwargs).logits


@pytest.mark.parametrize("conv", [False, True])
def test_at_init_the_logits_are_bit_equal_to_the_plain_model(each_tiny_backbone, small, conv):
    model, before = each_tiny_backbone.model, logits(each_tiny_backbone.model)
    attach(model, each_tiny_backbone.tokenizer, small(conv=conv))
    assert torch.equal(logits(model), before)


def test_on_the_embedded_model_too(smollm2):
    model, ids = smollm2.model, torch.tensor([[504, 2644, 6330, 282, 4649, 314]])
    before = logits(model, ids)
    attach(model, smollm2.tokenizer, EngramConfig())
    try:
        assert torch.equal(logits(model, ids), before)
        assert [len(layer.table.weight) for layer in engram_layers(model).values()] == [321_238, 323_560]
    finally:
        detach(model)  # other tests share it
    assert torch.equal(logits(model, ids), before)


def test_in_bfloat16_too_and_under_autocast(own_backbone, small):
    model = own_backbone.model
    with torch.autocast("cpu", dtype=torch.bfloat16):
        before = logits(model)
        attach(model, own_backbone.tokenizer, small(conv=True))
        assert torch.equal(logits(model), before)
    detach(model)
    before = logits(model.bfloat16())
    attach(model, own_backbone.tokenizer, small(conv=True))
    assert torch.equal(logits(model), before)
    assert {weight.dtype for layer in engram_layers(model).values() for weight in layer.parameters()} == {torch.float32}


def test_a_model_that_is_cast_afterwards_computes_nearly_the_same(grafted):
    model = grafted(conv=True).model
    before = logits(model)
    after = logits(model.to(torch.bfloat16))
    assert after.dtype == torch.bfloat16
    torch.testing.assert_close(after.float(), before, rtol=0.0, atol=0.1 * float(before.abs().max()))


def test_attaching_leaves_the_random_states_of_all_devices_alone(own_backbone, small, monkeypatch):
    monkeypatch.setattr(torch, "manual_seed", lambda seed: pytest.fail("reseeds the accelerators too"))
    before = torch.random.get_rng_state()
    attach(own_backbone.model, own_backbone.tokenizer, small())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_with_a_filled_table_they_are_not(each_tiny_backbone, small):
    model, before = each_tiny_backbone.model, logits(each_tiny_backbone.model)
    attach(model, each_tiny_backbone.tokenizer, small(conv=True, table_init_std=0.5))
    assert (logits(model) - before).abs().max() > 0.1


def test_no_parameter_is_renamed_and_detaching_restores_the_model(each_tiny_backbone, small, fill_engram):
    model = each_tiny_backbone.model
    names, before = list(model.state_dict()), logits(model)
    attach(model, each_tiny_backbone.tokenizer, small())
    fill_engram(model)
    added = [name for name in model.state_dict() if name not in names]
    assert set(names) < set(model.state_dict())
    assert all(".engram." in name or ".engram_hasher." in name for name in added)
    assert is_attached(model) and sorted(engram_layers(model)) == list(hasher_of(model).config.layers)
    detach(model)
    assert not is_attached(model) and list(model.state_dict()) == names
    assert torch.equal(logits(model), before)
    attach(model, each_tiny_backbone.tokenizer, small())  # and it can be attached anew
    assert torch.equal(logits(model), before)


def test_the_inner_model_can_be_given_as_well(own_backbone, small):
    attach(own_backbone.model.model, own_backbone.tokenizer, small())
    assert is_attached(own_backbone.model)


def test_the_memory_of_a_token_depends_on_its_ngram_alone(grafted):
    """One row of one table is changed: the model differs from the first n-gram on that reads it."""
    backbone = grafted(layers=(0,))
    hasher, layer = hasher_of(backbone.model), engram_layers(backbone.model)[0]
    before = logits(backbone.model)
    rows = hasher(hasher.compress(IDS))[0]  # (B, T, heads)
    row = rows[0, 7, 5]
    layer.table.weight.data[row] += 1
    changed = (logits(backbone.model) != before).any(dim=-1)
    first = [int((reads == row).any(dim=-1).float().argmax()) if (reads == row).any() else 20 for reads in rows]
    assert first[0] <= 7
    for row_changed, start in zip(changed, first, strict=True):
        assert not row_changed[:start].any() and row_changed[start : start + 1].all()


def test_left_padding_changes_nothing(each_tiny_backbone, small, fill_engram):
    model = each_tiny_backbone.model
    attach(model, each_tiny_backbone.tokenizer, small(conv=True))
    fill_engram(model)
    padded = torch.nn.functional.pad(IDS, (6, 0))
    mask = torch.nn.functional.pad(torch.ones_like(IDS), (6, 0))
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    shown = logits(model, padded, attention_mask=mask, position_ids=positions)[:, 6:]
    torch.testing.assert_close(shown, logits(model), rtol=1e-6, atol=1e-5)


def test_padding_within_a_text_changes_nothing(grafted):
    model = grafted(conv=True).model
    ids = torch.cat([IDS[:, :8], torch.zeros(2, 4, dtype=torch.long), IDS[:, 8:]], dim=1)
    mask = torch.ones_like(ids)
    mask[:, 8:12] = 0
    positions = mask.cumsum(dim=1) - 1
    shown = logits(model, ids, attention_mask=mask, position_ids=positions)[:, mask[0].bool()]
    torch.testing.assert_close(shown, logits(model), rtol=1e-6, atol=1e-5)


def test_packed_texts_are_read_like_texts_apart(grafted):
    model = grafted(conv=True).model
    packed = IDS.reshape(1, 40)
    positions = torch.arange(20).repeat(2)[None]
    shown = logits(model, packed, position_ids=positions, use_cache=False)
    torch.testing.assert_close(shown.reshape(2, 20, -1), logits(model), rtol=1e-6, atol=1e-5)


def test_texts_packed_behind_a_shared_prefix_are_read_like_texts_apart(grafted):
    model = grafted(conv=True).model
    prefix, rests = torch.arange(50, 60), torch.arange(3, 19).reshape(2, 8)
    ids = torch.cat([prefix, *rests])[None]
    positions = torch.cat([torch.arange(10), *[torch.arange(10, 18)] * 2])[None]
    segments = torch.tensor([0] * 10 + [1] * 8 + [2] * 8)
    seen = ((segments[:, None] == segments) | (segments == 0)) & torch.ones(26, 26).tril().bool()
    shown = logits(model, ids, position_ids=positions, attention_mask=seen[None, None], use_cache=False)[0, 10:]
    apart = logits(model, torch.cat([prefix.expand(2, -1), rests], dim=1))[:, 10:]
    torch.testing.assert_close(shown.reshape(2, 8, -1), apart, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("device", ["model", "host"])
@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(each_tiny_backbone, small, fill_engram, reentrant, device):
    model = each_tiny_backbone.model
    attach(model, each_tiny_backbone.tokenizer, small(conv=True, device=device))
    fill_engram(model)
    expected = gradients(model)
    model.gradient_checkpointing_enable({"use_reentrant": reentrant})
    model.enable_input_require_grads()
    found = gradients(model)
    assert any(gradient.any() for gradient in expected.values())
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def gradients(model):
    model.train()
    model.zero_grad()
    model(IDS, labels=IDS).loss.backward()
    return {f"{i}.{n}": w.grad.clone() for i, e in engram_layers(model).items() for n, w in e.named_parameters()}


def test_without_weight_decay_an_optimiser_moves_only_the_rows_that_were_read(grafted):
    model = grafted().model
    layers, hasher = engram_layers(model), hasher_of(model)
    before = {index: layer.table.weight.detach().clone() for index, layer in layers.items()}
    optimiser = torch.optim.AdamW([layer.table.weight for layer in layers.values()], lr=0.1, weight_decay=0.0)
    mask = torch.ones_like(IDS)
    mask[0, :5] = 0
    model(IDS, attention_mask=mask, labels=IDS.masked_fill(mask == 0, -100)).loss.backward()
    optimiser.step()
    read = hasher(hasher.compress(IDS, mask.bool()))
    used = mask.bool()
    used[:, -1] = False  # nothing is predicted from the last token
    for slot, (index, layer) in enumerate(layers.items()):
        moved = (layer.table.weight != before[index]).any(dim=1).nonzero().flatten().tolist()
        assert set(moved) == set(read[slot][used].flatten().tolist())


def test_a_deep_copy_is_independent_of_the_original(grafted):
    backbone = grafted(conv=True)
    twin = copy.deepcopy(backbone.model)
    before = logits(backbone.model)
    assert torch.equal(logits(twin), before)
    for layer in engram_layers(twin).values():
        layer.table.weight.data.zero_()
    assert torch.equal(logits(backbone.model), before)
    detach(twin)
    assert torch.equal(logits(backbone.model), before) and not torch.equal(logits(twin), before)


def test_switched_off_the_model_computes_like_the_plain_one(own_backbone, small, fill_engram):
    plain = logits(own_backbone.model)
    attach(own_backbone.model, own_backbone.tokenizer, small(conv=True))
    fill_engram(own_backbone.model)
    on = logits(own_backbone.model)
    with engram_off(own_backbone.model):
        assert torch.equal(logits(own_backbone.model), plain)
        with engram_off(own_backbone.model):
            pass
        assert torch.equal(logits(own_backbone.model), plain)
    assert torch.equal(logits(own_backbone.model), on) and not torch.equal(on, plain)


def test_one_layer_can_be_switched_off_alone(grafted):
    model = grafted().model
    on = logits(model)
    engram_layers(model)[1].enabled = False
    without_second = logits(model)
    engram_layers(model)[1].enabled = True
    assert not torch.equal(without_second, on) and torch.equal(logits(model), on)


def test_engram_is_trainable_at_first_and_can_be_frozen(grafted):
    model = grafted().model
    weights = [weight for layer in engram_layers(model).values() for weight in layer.parameters()]
    assert all(weight.requires_grad for weight in weights)
    set_trainable(model, False)
    assert not any(weight.requires_grad for weight in weights)


def test_the_recorder_sees_every_forward_pass_and_padding_has_a_closed_gate(grafted):
    model, seen = grafted().model, []
    engram_layers(model)[1].recorder = lambda *values: seen.append(values)
    mask = torch.ones_like(IDS)
    mask[0, :5] = 0
    logits(model, attention_mask=mask)
    hasher = hasher_of(model)
    ((gate, rows, live),) = seen
    assert torch.equal(live, mask.bool()) and not gate[0, :5].any() and (gate[live] > 0).all()
    assert torch.equal(rows, hasher(hasher.compress(IDS, live))[1])


def test_embeddings_need_the_ids_beside_them(grafted):
    model = grafted().model
    embeddings = model.get_input_embeddings()(IDS)
    with pytest.raises(
        ValueError, match=r"^Engram reads token ids: pass engram_input_ids \(B, T\) beside inputs_embeds"
    ):
        model(inputs_embeds=embeddings)
    with torch.no_grad():
        assert torch.equal(model(inputs_embeds=embeddings, engram_input_ids=IDS).logits, logits(model))


def test_misuse_is_one_clear_line(grafted, small):
    backbone = grafted()
    with pytest.raises(ValueError, match=r"^the model has an Engram already: detach it first$"):
        attach(backbone.model, backbone.tokenizer, small())
    detach(backbone.model)
    for use in (detach, hasher_of, engram_layers):
        with pytest.raises(ValueError, match=r"^the model has no Engram: attach or load one first$"):
            use(backbone.model)
    other = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=1, vocab_size=259))
    with pytest.raises(
        ValueError, match=r"^Engram needs a decoder of the shape of Llama, Qwen2 or Qwen3, not GPT2Model"
    ):
        attach(other, backbone.tokenizer, small())
