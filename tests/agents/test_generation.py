from unittest.mock import patch

import pytest
import torch
from tqdm import tqdm

from agents.backbone import LoraSettings, add_adapter, load_backbone
from agents.generation import _batches, generate

PROMPTS = ["Mara likes tea.", "Hi", "Where does Tom live? Say it in one word.", "Hi"]


def run(backbone, prompts=PROMPTS, **settings):
    return generate(backbone.model, backbone.tokenizer, prompts, **{"max_new_tokens": 8, **settings})


def set_end(backbone, token):
    backbone.model.generation_config.eos_token_id = [2, token]


def test_results_keep_the_order_of_the_prompts_whatever_the_batches(tiny_backbone):
    together = run(tiny_backbone)
    assert [tiny_backbone.tokenizer.decode(result.prompt_ids) for result in together] == PROMPTS
    assert together == run(tiny_backbone, max_batch_tokens=1)
    assert together == [run(tiny_backbone, [prompt])[0] for prompt in PROMPTS]


def test_texts_and_their_token_ids_are_the_same_prompt(tiny_backbone):
    ids = [tiny_backbone.tokenizer(prompt)["input_ids"] for prompt in PROMPTS]
    assert run(tiny_backbone, ids) == run(tiny_backbone)
    assert run(tiny_backbone, []) == []


def test_the_end_token_is_kept_and_its_absence_is_a_truncation(own_backbone):
    cut = run(own_backbone)
    assert all(result.truncated and len(result.completion_ids) == 8 for result in cut)
    end = cut[0].completion_ids[3]
    set_end(own_backbone, end)
    ended = run(own_backbone)[0]
    length = cut[0].completion_ids.index(end) + 1
    assert (ended.completion_ids, ended.truncated) == (cut[0].completion_ids[:length], False)


def test_text_is_the_sampled_ids_decoded_without_control_tokens(own_backbone):
    with torch.no_grad():
        own_backbone.model.lm_head.weight[2] *= 4  # the end token comes often, but not always
    results = run(own_backbone, temperature=1.0, prompts=[[i] for i in range(3, 35)])
    assert {result.truncated for result in results} == {True, False}
    for result in results:
        kept = result.completion_ids if result.truncated else result.completion_ids[:-1]
        assert result.text == own_backbone.tokenizer.decode([token for token in kept if token > 2])
        assert result.truncated == (2 not in result.completion_ids)


def test_sampling_depends_on_the_seed_alone(tiny_backbone):
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = run(tiny_backbone, temperature=1.0, seed=7)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    assert run(tiny_backbone, temperature=1.0, seed=7) == first
    assert run(tiny_backbone, temperature=1.0, seed=8) != first
    assert first[1] != first[3]


def test_sampling_defaults_that_come_with_a_model_do_not_leak_in(own_backbone):
    expected = run(own_backbone, temperature=1.0)
    own_backbone.model.generation_config.update(top_k=1, top_p=0.1, repetition_penalty=5.0, temperature=0.01)
    assert run(own_backbone, temperature=1.0) == expected


def test_a_model_in_training_generates_in_eval_mode_and_is_left_training(each_tiny_backbone):
    backbone = each_tiny_backbone
    add_adapter(backbone, "default", LoraSettings(rank=4, dropout=0.5))
    for name, weight in backbone.model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(weight)
    expected = run(backbone)
    backbone.model.train()
    backbone.model.gradient_checkpointing_enable()
    backbone.model.config.use_cache = False
    frozen = backbone.model.get_submodule("base_model.model.model.norm").eval()
    modes = [module.training for module in backbone.model.modules()]
    assert run(backbone) == expected
    assert [module.training for module in backbone.model.modules()] == modes
    assert not frozen.training
    assert not any(parameter.grad is not None for parameter in backbone.model.parameters())


def test_adapter_weights_are_read_in_the_dtype_of_the_model_and_come_back_as_they_were():
    backbone = load_backbone("tiny-llama", dtype="bfloat16", device="cpu")
    add_adapter(backbone, "default", LoraSettings(rank=4))
    adapted = [weight for name, weight in backbone.model.named_parameters() if "lora_" in name]
    before = [(weight.dtype, weight.data_ptr()) for weight in adapted]
    seen = set()
    averaged = []  # as processes that train together do, with a hook on every gradient
    for weight in adapted:
        weight.register_post_accumulate_grad_hook(averaged.append)

    def note(*_):
        seen.update(weight.dtype for name, weight in backbone.model.named_parameters() if "lora_" in name)

    handle = backbone.model.register_forward_hook(note)
    run(backbone)
    handle.remove()
    assert seen == {torch.bfloat16}
    assert [(weight.dtype, weight.data_ptr()) for weight in adapted] == before
    assert {dtype for dtype, _ in before} == {torch.float32}
    ids = torch.tensor([[1, 2, 3]])
    backbone.model(input_ids=ids, labels=ids).loss.backward()
    assert {id(weight) for weight in averaged} == {id(weight) for weight in adapted}


def test_a_bar_counts_the_prompts_that_are_done_where_one_is_asked_for(tiny_backbone, capsys):
    plain = run(tiny_backbone)
    assert capsys.readouterr().err == ""
    with patch.object(tqdm, "update", autospec=True) as update:
        assert run(tiny_backbone, progress="answers", max_batch_tokens=1) == plain
    assert [call.args[1] for call in update.call_args_list] == [1, 1, 1]  # one of the four is there twice
    assert "answers:   0%|" in capsys.readouterr().err


def test_batches_hold_as_many_positions_as_allowed_longest_first():
    assert list(_batches([3, 9, 5, 9, 1], 1, 20)) == [[1, 3], [2, 0, 4]]
    assert list(_batches([3, 9, 5], 1, 5)) == [[1], [2], [0]]
    assert list(_batches([], 1, 5)) == []


@pytest.mark.parametrize(
    ("prompts", "settings", "message"),
    [
        (["a", ""], {}, "prompt 1 is empty"),
        ([[3], []], {}, "prompt 1 is empty"),
        (["a"], {"temperature": -0.1}, "temperature=-0.1"),
        (["a"], {"max_new_tokens": 0}, "max_new_tokens=0"),
    ],
)
def test_impossible_requests_are_refused(tiny_backbone, prompts, settings, message):
    with pytest.raises(ValueError, match=message):
        run(tiny_backbone, prompts, **settings)


def test_smollm2_answers_a_plain_question(smollm2):
    prompt = smollm2.tokenizer.apply_chat_template(
        [
            {"role": "system", "content": "You are helpful."},
            {"role": "user", "content": "What is the capital of France?"},
        ],
        add_generation_prompt=True,
        return_dict=False,
    )
    (result,) = run(smollm2, [prompt], max_new_tokens=16)
    assert "Paris" in result.text
    assert (result.completion_ids[-1], result.truncated) == (smollm2.tokenizer.eos_token_id, False)
