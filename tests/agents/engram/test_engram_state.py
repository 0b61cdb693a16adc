import copy

import pytest
import torch
from transformers import DynamicCache, GenerationConfig

from agents.decoding import decode
from agents.engram import attach, engram_off
from agents.engram.state import EngramState

IDS = torch.arange(3, 43).reshape(2, 20)
NEW = 12  # tokens to generate


@pytest.fixture
def each_model(each_tiny_backbone, small, fill_engram):
    """Every architecture, with convolution and filled weights."""
    attach(each_tiny_backbone.model, each_tiny_backbone.tokenizer, small(conv=True))
    fill_engram(each_tiny_backbone.model)
    return each_tiny_backbone.model


def in_pieces(model, widths, cache=None, ids=IDS):
    """Logits of a forward pass that is cut into pieces of these widths."""
    cache, shown = cache or DynamicCache(config=model.config), []
    with torch.no_grad():
        for piece in ids.split(widths, dim=1):
            shown.append(model(piece, past_key_values=cache, use_cache=True).logits)
    return torch.cat(shown, dim=1)


def whole(model, ids=IDS):
    with torch.no_grad():
        return model(ids, use_cache=False).logits


def generated(model, ids=IDS, mask=None, assistant_model=None, **kwargs):
    config = GenerationConfig(max_new_tokens=NEW, do_sample=False, pad_token_id=0, eos_token_id=None, **kwargs)
    mask = torch.ones_like(ids) if mask is None else mask
    found = model.generate(ids, attention_mask=mask, generation_config=config, assistant_model=assistant_model)
    return found[:, ids.shape[1] :]


@pytest.mark.parametrize("widths", [[1] * 20, [7, 7, 6], [2, 1, 17], [20]])
def test_a_forward_pass_in_pieces_equals_the_whole(each_model, widths):
    torch.testing.assert_close(in_pieces(each_model, widths), whole(each_model), rtol=1e-6, atol=1e-5)


def test_a_cache_that_grows_its_layers_as_it_goes_will_do(each_model):
    torch.testing.assert_close(in_pieces(each_model, [7, 13], DynamicCache()), whole(each_model), rtol=1e-6, atol=1e-5)


def test_the_cache_a_model_makes_for_itself_carries_the_state(each_model):
    with torch.no_grad():
        cache = each_model(IDS[:, :9]).past_key_values
        rest = each_model(IDS[:, 9:], past_key_values=cache).logits
    torch.testing.assert_close(rest, whole(each_model)[:, 9:], rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("beams", [1, 4])
def test_greedy_and_beam_search_with_a_cache_find_what_they_find_without(each_model, beams):
    assert torch.equal(generated(each_model, num_beams=beams), generated(each_model, num_beams=beams, use_cache=False))


def test_beam_search_depends_on_engram_so_the_test_above_can_fail(each_model):
    with engram_off(each_model):
        plain = generated(each_model, num_beams=4)
    assert not torch.equal(generated(each_model, num_beams=4), plain)


def test_greedy_decoding_of_left_padded_prompts_equals_that_of_each_alone(each_model):
    ids, mask = IDS.clone(), torch.ones_like(IDS)
    ids[0, :7], mask[0, :7] = 0, 0
    both = generated(each_model, ids, mask)
    assert torch.equal(both[:1], generated(each_model, IDS[:1, 7:]))
    assert torch.equal(both[1:], generated(each_model, IDS[1:]))


@pytest.mark.parametrize("conv", [False, True])
def test_assisted_decoding_finds_what_greedy_decoding_finds(grafted, monkeypatch, conv):
    removed, crop = [], EngramState.crop
    monkeypatch.setattr(EngramState, "crop", lambda state, tokens: (removed.append(tokens), crop(state, tokens))[1])
    model = grafted(conv=conv).model
    ids = IDS[:1, :5].repeat(1, 4)  # so that there is something to look up
    expected = generated(model, ids)
    assert torch.equal(generated(model, ids, prompt_lookup_num_tokens=3), expected)
    assert min(removed) < 0  # a guess was wrong
    removed.clear()
    assistant = copy.deepcopy(model)
    assistant.lm_head.weight.data[:130] *= 1.5  # agrees at times
    assert torch.equal(generated(model, ids, assistant_model=assistant), expected)
    assert min(removed) < 0


def test_a_cropped_cache_continues_as_if_the_tokens_had_never_been(each_model):
    cache = DynamicCache(config=each_model.config)
    in_pieces(each_model, [15], cache, IDS[:, :15])
    in_pieces(each_model, [4], cache, torch.full((2, 4), 99))
    cache.crop(-4)
    rest = in_pieces(each_model, [5], cache, IDS[:, 15:])
    torch.testing.assert_close(rest, whole(each_model)[:, 15:], rtol=1e-6, atol=1e-5)


def test_rows_of_a_cache_can_be_gathered_repeated_and_selected(each_model):
    expected = whole(each_model)[:, 15:]
    changes = {
        (1, 0, 0): lambda cache: cache.reorder_cache(torch.tensor([1, 0, 0])),
        (0, 0, 1, 1): lambda cache: cache.batch_repeat_interleave(2),
        (1,): lambda cache: cache.batch_select_indices(torch.tensor([1])),
    }
    for rows, change in changes.items():
        cache = DynamicCache(config=each_model.config)
        in_pieces(each_model, [15], cache, IDS[:, :15])
        change(cache)
        rest = in_pieces(each_model, [2, 3], cache, IDS[list(rows), 15:])
        torch.testing.assert_close(rest, expected[list(rows)], rtol=1e-6, atol=1e-5)


def test_a_cache_that_is_reset_or_copied_is_its_own(each_model):
    cache = DynamicCache(config=each_model.config)
    in_pieces(each_model, [15], cache, IDS[:, :15])
    twin = copy.deepcopy(cache)
    cache.reset()
    torch.testing.assert_close(in_pieces(each_model, [20], cache), whole(each_model), rtol=1e-6, atol=1e-5)
    rest = in_pieces(each_model, [5], twin, IDS[:, 15:])
    torch.testing.assert_close(rest, whole(each_model)[:, 15:], rtol=1e-6, atol=1e-5)


def test_a_cache_filled_without_engram_is_refused(grafted):
    model, cache = grafted().model, None
    with engram_off(model), torch.no_grad():
        cache = model(IDS).past_key_values
    with pytest.raises(
        ValueError, match=r"^the cache holds 20 tokens, of which Engram has seen 0: start with an empty"
    ):
        model(IDS[:, :1], past_key_values=cache)


def test_no_state_is_kept_while_training_with_gradient_checkpointing(grafted):
    model = grafted().model
    model.gradient_checkpointing_enable()
    model.train()
    cache = DynamicCache(config=model.config)
    model(IDS, past_key_values=cache)
    assert not any(isinstance(layer, EngramState) for layer in cache.layers)


def test_masks_that_cannot_be_read_are_one_clear_line(grafted):
    model = grafted(name="tiny-qwen2").model
    with pytest.raises(ValueError, match=r"^Engram reads attention masks of shape \(B, S\) and \(B, 1, S, S\)"):
        model(IDS, attention_mask={"full_attention": None})
    cache = DynamicCache(config=model.config)
    in_pieces(model, [19], cache, IDS[:, :19])
    with pytest.raises(ValueError, match=r"^Engram cannot continue a cache with an attention mask of shape"):
        model(IDS[:, 19:], attention_mask=torch.ones(2, 1, 1, 20).bool(), past_key_values=cache)


# Decoding of agents, which shares prefixes and drops rows that are finished


@pytest.mark.parametrize("conv", [False, True])
def test_the_decoding_loop_of_agents_finds_what_each_prompt_finds_alone(grafted, conv):
    model = grafted(conv=conv).model
    opening = tuple(range(60, 90))
    prompts = [(*opening, 5, 6, 7), (*opening, 8), (*opening, 5, 6, 7), (*opening, 9, 10, 11, 12, 13)]
    completions = decode(model, prompts, max_new_tokens=NEW, ends=frozenset([200, 201, 202]), pad=0)
    for prompt, completion in zip(prompts, completions, strict=True):
        alone = generated(model, torch.tensor([prompt]))[0].tolist()
        assert completion == alone[: len(completion)]
        assert len(completion) == NEW or completion[-1] in (200, 201, 202)
