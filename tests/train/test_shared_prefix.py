import pytest
import torch
from trl import GRPOConfig

from train.shared_prefix import MOST_ROWS, PackedRows, SharedPrefixGRPOTrainer, pack_rows

PAD = 0


def rows_of(prompts, completions):
    """TRL's layout: prompts padded on the left, completions on the right."""
    left, right = max(map(len, prompts)), max(map(len, completions))
    ids, mask = [], []
    for prompt, completion in zip(prompts, completions, strict=True):
        before, after = left - len(prompt), right - len(completion)
        ids.append([PAD] * before + prompt + completion + [PAD] * after)
        mask.append([0] * before + [1] * (len(prompt) + len(completion)) + [0] * after)
    return torch.tensor(ids), torch.tensor(mask), right


def test_a_group_is_packed_as_its_prefix_and_each_row_s_own_rest():
    packed = pack_rows(*rows_of([[5, 6, 7], [5, 6, 7]], [[8], [9, 2]]))
    assert packed.input_ids.tolist() == [[5, 6, 7, 8, 7, 9, 2]]  # the last prompt token, which predicts, is repeated
    assert packed.position_ids.tolist() == [[0, 1, 2, 3, 2, 3, 4]]
    assert packed.labels.tolist() == [[-100, -100, -100, 8, -100, 9, 2]]
    assert packed.places.tolist() == [[3, 0], [5, 6]]
    assert packed.attention_mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 0, 0],
        [1, 1, 0, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 1, 1],
    ]


def test_a_sequence_holds_so_many_rows_at_most():
    packed = pack_rows(*rows_of([[5, 6, 7]] * (MOST_ROWS + 1), [[8]] * (MOST_ROWS + 1)))
    assert len(packed.input_ids) == 2
    assert packed.input_ids.shape[1] <= 2 + 2 * MOST_ROWS


def test_padding_attends_to_something_so_that_nothing_is_nan():
    packed = pack_rows(*rows_of([[5, 6], [8, 9, 10]], [[1], [1]]))
    assert packed.input_ids.shape == (2, 4)
    assert packed.attention_mask.any(dim=-1).all()
    assert not packed.attention_mask[0, 0, :3, 3].any()  # and no token attends to it


def test_a_prompt_of_one_token_shares_nothing():
    packed = pack_rows(*rows_of([[2], [2]], [[2], [2]]))
    assert packed.input_ids.tolist() == [[2, 2], [2, 2]] or packed.input_ids.tolist() == [[2, 2, 2, 2]]
    assert (packed.places[:, 0] > 0).all()


@pytest.fixture
def trainer(policy, tmp_path):
    from datasets import Dataset

    arguments = GRPOConfig(output_dir=str(tmp_path), use_cpu=True, bf16=False, num_generations=2, report_to="none")
    return SharedPrefixGRPOTrainer(
        model=policy.model,
        reward_funcs=lambda completions, **columns: [0.0] * len(completions),
        args=arguments,
        train_dataset=Dataset.from_dict({"prompt": ["x"]}),
        processing_class=policy.tokenizer,
    )


def log_probabilities(trainer, method, rows):
    trainer.model.zero_grad()
    ids, mask, width = rows
    logps, entropies, _ = method(trainer, trainer.model, ids, mask, width, compute_entropy=True)
    real = mask[:, -width:].bool()
    weights = torch.linspace(0.5, 1.5, int(real.sum()))
    ((logps[real] + entropies[real]) * weights).sum().backward()
    gradients = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    return logps[real].detach(), entropies[real].detach(), gradients


def test_log_probabilities_entropies_and_gradients_equal_the_stock_trainer_s(trainer):
    # Two groups that share their first words, a row alone, and a filler row.
    shared = list(range(20, 45))
    first, second = [*shared, *range(50, 70)], [*shared, *range(80, 95)]
    prompts = [first, second, first, [*range(100, 140)], second, first, [2]]
    completions = [[60, 61, 2], [70, 2], [62, 2], [63, 64, 65, 66, 2], [71, 72, 73, 2], [60, 2], [2]]
    rows = rows_of(prompts, completions)
    packed = pack_rows(*rows)
    assert packed.input_ids.numel() < rows[0].numel()  # that it is worth it at all
    stock = SharedPrefixGRPOTrainer.__mro__[1]._get_per_token_logps_and_entropies
    ours = SharedPrefixGRPOTrainer._get_per_token_logps_and_entropies
    expected, actual = log_probabilities(trainer, stock, rows), log_probabilities(trainer, ours, rows)
    torch.testing.assert_close(actual[0], expected[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(actual[1], expected[1], rtol=1e-5, atol=1e-5)
    assert max(gradient.abs().max() for gradient in expected[2].values()) > 1e-3
    for name, gradient in expected[2].items():
        torch.testing.assert_close(actual[2][name], gradient, rtol=1e-4, atol=1e-5)


def test_batches_of_any_size_give_the_same(trainer):
    rows = rows_of([[*range(20, 40)]] * 5, [[60 + i, 2] for i in range(5)])
    with torch.no_grad():
        whole, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, *rows)
        parts, _, _ = trainer._get_per_token_logps_and_entropies(trainer.model, *rows, batch_size=2)
    torch.testing.assert_close(parts, whole, rtol=1e-5, atol=1e-5)


def test_packed_rows_live_where_the_rows_do():
    assert all(
        getattr(pack_rows(*rows_of([[5, 6]], [[7]])), name).device.type == "cpu" for name in PackedRows.__slots__
    )
