import pytest
import torch

from agents.backbone import load_backbone
from agents.decoding import decode
from train.turns import Turn, collate
from train.value_head import ActorCritic, ValueHead

ROWS = [Turn((5, 6, 7, 8), (9, 10), 0.0), Turn((5,), (11, 12, 13, 2), 0.0), Turn((20, 21), (2,), 0.0)]
CPU = torch.device("cpu")


@pytest.fixture(params=["tiny-llama", "tiny-qwen2", "tiny-qwen3"])
def each_model(request):
    return load_backbone(request.param, device="cpu").model


@pytest.mark.parametrize("temperature", [1.0, 0.5])
def test_log_probabilities_are_those_of_the_distribution_that_tokens_are_drawn_from(each_model, temperature):
    scores = ActorCritic(each_model, temperature)(*collate(ROWS, 0, CPU))
    expected, entropies = [], []
    for row in ROWS:
        with torch.no_grad():
            logits = each_model(torch.tensor([[*row.prompt_ids, *row.completion_ids]])).logits[0]
        for place, token in enumerate(row.completion_ids, start=len(row.prompt_ids) - 1):
            probabilities = (logits[place] / temperature).softmax(-1)
            expected.append(probabilities[token].log())
            entropies.append(-(probabilities * probabilities.log()).sum())
    torch.testing.assert_close(scores.logps, torch.stack(expected), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(scores.entropies, torch.stack(entropies), rtol=1e-4, atol=1e-5)


def test_scores_depend_neither_on_the_padding_nor_on_the_other_rows(tiny_backbone):
    model = ActorCritic(tiny_backbone.model, 1.0)
    torch.nn.init.normal_(model.value_head.linear.weight, generator=torch.Generator().manual_seed(0))
    together, padded = model(*collate(ROWS, 0, CPU)), model(*collate(ROWS, 77, CPU))
    alone = [model(*collate([row], 0, CPU)) for row in ROWS]
    for name in ("logps", "values"):
        assert torch.equal(getattr(together, name), getattr(padded, name))
        torch.testing.assert_close(
            torch.cat([getattr(scores, name) for scores in alone]), getattr(together, name), rtol=1e-4, atol=1e-5
        )


def test_a_value_knows_what_comes_before_its_token_and_nothing_else(tiny_backbone):
    """Another last token changes no value; another first token changes those after it."""
    model = ActorCritic(tiny_backbone.model, 1.0)
    torch.nn.init.normal_(model.value_head.linear.weight, generator=torch.Generator().manual_seed(0))

    def values(*completion):
        return model(*collate([Turn((5, 6), completion, 0.0)], 0, CPU)).values

    assert torch.equal(values(9, 10, 11), values(9, 10, 44))
    changed = values(9, 10, 11) != values(44, 10, 11)
    assert changed.tolist() == [False, True, True]


def test_an_untrained_critic_expects_nothing_and_learns():
    head = ValueHead(8)
    hidden = torch.randn(5, 8, generator=torch.Generator().manual_seed(0))
    assert head(hidden).tolist() == [0.0] * 5
    head(hidden).sum().backward()
    assert head.linear.weight.grad.abs().sum() > 0
    torch.nn.init.ones_(head.linear.weight[:, :4])
    torch.testing.assert_close(head(100 * hidden), head(hidden), rtol=1e-3, atol=1e-3)  # whatever the scale


def test_only_completions_go_through_the_lm_head(tiny_backbone):
    model = ActorCritic(tiny_backbone.model, 1.0)
    seen = []
    hook = tiny_backbone.model.lm_head.register_forward_hook(lambda module, args, output: seen.append(args[0].shape[0]))
    model(*collate(ROWS, 0, CPU))
    hook.remove()
    assert seen == [7]


def test_sampled_tokens_are_as_likely_as_the_actor_says(tiny_backbone):
    """Greedy tokens are the likeliest: their probability is the largest of the distribution scored."""
    ids = decode(tiny_backbone.model, [(5, 6, 7)], max_new_tokens=4, ends=frozenset(), pad=0)[0]
    greedy = ActorCritic(tiny_backbone.model, 1.0)(*collate([Turn((5, 6, 7), tuple(ids), 0.0)], 0, CPU)).logps
    for place in range(4):
        other = [*ids[:place], (ids[place] + 1) % 200, *ids[place + 1 :]]
        less = ActorCritic(tiny_backbone.model, 1.0)(*collate([Turn((5, 6, 7), tuple(other), 0.0)], 0, CPU)).logps
        assert less[place] < greedy[place]


def test_a_model_that_changes_its_logits_after_the_lm_head_is_refused(own_backbone, monkeypatch):
    original = type(own_backbone.model).forward

    def capped(self, *args, **kwargs):
        output = original(self, *args, **kwargs)
        output.logits = torch.tanh(output.logits)
        return output

    monkeypatch.setattr(type(own_backbone.model), "forward", capped)
    with pytest.raises(ValueError, match="LlamaForCausalLM changes its logits after the LM head"):
        ActorCritic(own_backbone.model, 1.0)
