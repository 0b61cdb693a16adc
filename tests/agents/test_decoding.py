import pytest
import torch
from transformers import GenerationConfig, Qwen2Config, Qwen2ForCausalLM

from agents.decoding import MIN_SAVED, _choose, decode
from agents.engram import EngramConfig, attach, detach, engram_layers

NONE = frozenset()
COMMON = tuple(range(30, 30 + MIN_SAVED + 4))
RAGGED = [(*COMMON, 7, 8, 9), (5,), (11, 12, 13, 14), (*COMMON, 3), (60, 61)]
SHARING = [(*COMMON, 7, 8, 9), (*COMMON, 3), (*COMMON, 60, 61, 62, 63, 64, 65), (*COMMON, 7, 8, 10)]

GROUPS = [*[(*COMMON, *range(100, 120), end) for end in (7, 8, 9)], (5,), *[(*range(150, 175), end) for end in (7, 8)]]


def one_by_one(model, prompt, steps):
    """Greedy decoding without cache, batch or padding: the definition."""
    ids = list(prompt)
    for _ in range(steps):
        with torch.no_grad():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def by_transformers(model, prompts, steps):
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(p)) + list(p) for p in prompts])
    mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])
    config = GenerationConfig(max_new_tokens=steps, do_sample=False, pad_token_id=0, eos_token_id=None)
    return model.generate(input_ids=ids, attention_mask=mask, generation_config=config)[:, width:].tolist()


@pytest.mark.parametrize("prompts", [RAGGED, SHARING, GROUPS])
def test_greedy_batches_are_what_each_prompt_gives_alone_and_what_transformers_gives(each_tiny_backbone, prompts):
    model = each_tiny_backbone.model
    decoded = decode(model, prompts, max_new_tokens=12, ends=NONE, pad=0)
    assert decoded == [one_by_one(model, prompt, 12) for prompt in prompts]
    assert decoded == by_transformers(model, prompts, 12)


@pytest.mark.parametrize("prompts", [RAGGED, SHARING, GROUPS])
def test_a_row_that_ends_leaves_and_the_others_go_on_undisturbed(tiny_backbone, prompts):
    full = decode(tiny_backbone.model, prompts, max_new_tokens=12, ends=NONE, pad=0)
    ends = frozenset([full[0][4], full[2][1]])
    expected = [next((row[: i + 1] for i, token in enumerate(row) if token in ends), row) for row in full]
    assert len({len(row) for row in expected}) > 1
    assert decode(tiny_backbone.model, prompts, max_new_tokens=12, ends=ends, pad=0) == expected


def test_decoding_stops_when_every_row_has_ended(tiny_backbone):
    forwards = []
    handle = tiny_backbone.model.register_forward_hook(lambda *_: forwards.append(1))
    first = one_by_one(tiny_backbone.model, (5,), 1)
    forwards.clear()
    assert decode(tiny_backbone.model, [(5,), (5,)], max_new_tokens=12, ends=frozenset(first), pad=0) == [first, first]
    handle.remove()
    assert len(forwards) == 1


def test_the_lm_head_gets_states_in_one_piece(tiny_backbone):
    """Of a slice out of (B, T, H) a CPU makes one product per row, each with a copy of the matrix."""
    states = []
    head = tiny_backbone.model.get_output_embeddings()
    handle = head.register_forward_pre_hook(lambda _, arguments: states.append(arguments[0]))
    decode(tiny_backbone.model, RAGGED, max_new_tokens=3, ends=NONE, pad=0)
    handle.remove()
    assert len(states) == 4  # the common prefix, the rests, two tokens
    assert all(state.is_contiguous() for state in states)


def test_a_common_prefix_and_equal_prompts_are_read_once(tiny_backbone):
    read = []
    handle = tiny_backbone.model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    decode(tiny_backbone.model, [*SHARING, *SHARING], max_new_tokens=2, ends=NONE, pad=0)
    handle.remove()
    assert read == [(1, len(COMMON)), (4, 6), (8, 1)]


@pytest.mark.parametrize("conv", [False, True])
def test_engram_does_not_mind_padding_between_a_shared_prefix_and_the_rest(each_tiny_backbone, conv):
    model = each_tiny_backbone.model
    attach(model, each_tiny_backbone.tokenizer, EngramConfig(rows=101, heads=2, row_dim=4, conv=conv))
    generator = torch.Generator().manual_seed(0)
    try:
        for layer in engram_layers(model).values():
            for parameter in layer.parameters():
                parameter.data = torch.randn(parameter.shape, generator=generator)
        expected = [one_by_one(model, prompt, 8) for prompt in GROUPS]
        assert decode(model, GROUPS, max_new_tokens=8, ends=NONE, pad=0) == expected
    finally:
        detach(model)


def test_equal_prompts_are_sampled_independently(tiny_backbone):
    generator = torch.Generator().manual_seed(0)
    rows = decode(
        tiny_backbone.model, [(5, 6)] * 8, max_new_tokens=8, ends=NONE, pad=0, temperature=1.0, generator=generator
    )
    assert len({tuple(row) for row in rows}) == 8


def test_a_sliding_window_is_decoded_without_sharing_its_cache():
    config = Qwen2Config(
        vocab_size=259,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        use_sliding_window=True,
        sliding_window=6,
        max_window_layers=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = Qwen2ForCausalLM(config).eval()
    decoded = decode(model, SHARING, max_new_tokens=12, ends=NONE, pad=0)
    assert decoded == by_transformers(model, SHARING, 12)


def test_each_group_reads_its_own_prefix_once(tiny_backbone):
    groups = [prompt for prompt in GROUPS if len(prompt) > 1]
    read = []
    handle = tiny_backbone.model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    decoded = decode(tiny_backbone.model, groups, max_new_tokens=1, ends=NONE, pad=0)
    handle.remove()
    assert read == [(2, len(COMMON) + 20), (5, 1)]
    assert decoded == [one_by_one(tiny_backbone.model, prompt, 1) for prompt in groups]


def test_too_short_a_prefix_is_not_read_apart(tiny_backbone):
    read = []
    handle = tiny_backbone.model.register_forward_hook(
        lambda module, args, kwargs, output: read.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    decode(tiny_backbone.model, [(5, 6, 7), (5, 6, 8)], max_new_tokens=1, ends=NONE, pad=0)
    handle.remove()
    assert read == [(2, 3)]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_sampling_follows_the_softmax_at_the_temperature(temperature):
    probabilities = torch.tensor([0.1, 0.2, 0.7])
    logits = probabilities.log().expand(40_000, 3)
    drawn = _choose(logits, temperature, torch.Generator().manual_seed(0))
    expected = probabilities ** (1 / temperature)
    torch.testing.assert_close(drawn.bincount() / 40_000, expected / expected.sum(), atol=0.01, rtol=0)
    assert _choose(logits, 0.0, None).unique().tolist() == [2]
