import json
import math

import pytest
import torch

from agents.backbone import load_backbone
from benchmarks import engram_warm_start
from train import cpu
from train.examples import Example


@pytest.fixture
def smoke(tmp_path):
    config = tmp_path / "sft.yaml"
    config.write_text(
        "backbone: {name: tiny-llama}\n"
        "lora: {rank: 4, alpha: 8}\n"
        "env: {kwargs: {budget: 60, dialogue: {chunks: 2, turns_per_chunk: 2, questions: 2, verbosity: short}}}\n"
        "agent: {max_new_tokens: 8}\n"
        "teacher: oracle\nepisodes: 4\nmax_steps: 1\nbatch_size: 4\n"
    )
    return config


def test_every_arm_is_trained_and_graded(smoke, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cpu, "use_all_cores", lambda: None)
    engram_warm_start.main(
        [
            *("--config", str(smoke), "--seeds", "0", "--episodes", "2", "--output", str(tmp_path / "runs")),
            *("--engram", '{"rows": 101, "heads": 2, "row_dim": 4}', "--json", str(tmp_path / "out.json")),
        ]
    )
    record = json.loads((tmp_path / "out.json").read_text())
    table = record["table"]
    assert list(table) == ["lora", "lora+engram", "lora+engram, switched off", "lora, equal parameters"]
    assert all(math.isfinite(row["loss"]["mean"]) and row["seeds"] == 1 for row in table.values())
    parameters = [row["trained_parameters"] for row in table.values()]
    assert parameters[0] < parameters[1]
    assert abs(parameters[3] / parameters[1] - 1) < 0.1
    assert "lora, equal parameters" in capsys.readouterr().out


def test_the_loss_is_that_of_each_row_alone():
    backbone = load_backbone("tiny-llama", device="cpu")
    examples = [Example([5, 6, 7, 8], [9, 2]), Example([5, 6], [10, 11, 2])]
    expected, count = 0.0, 0
    for example in examples:
        ids = torch.tensor([example.prompt_ids + example.completion_ids])
        with torch.no_grad():
            scores = backbone.model(ids).logits[0].log_softmax(dim=-1)
        for place in range(len(example.prompt_ids), ids.shape[1]):
            expected -= float(scores[place - 1, ids[0, place]])
            count += 1
    assert engram_warm_start.mean_loss(backbone, examples) == pytest.approx(expected / count, rel=1e-5)
