from types import SimpleNamespace

import pytest
import torch
from accelerate.utils import DistributedType
from safetensors.torch import load_file

from agents.backbone import save_adapter
from train.settings import BackboneSettings, LoraShape
from train.setup import build_policy
from train.sharding import is_sharded, need_whole_model, whole_weights


def accelerator(kind, stage=None):
    state = SimpleNamespace(deepspeed_plugin=SimpleNamespace(zero_stage=stage))
    return SimpleNamespace(distributed_type=kind, state=state, get_state_dict=lambda model: {"all": model})


@pytest.mark.parametrize(
    ("kind", "stage", "expected"),
    [
        (DistributedType.NO, None, False),
        (DistributedType.MULTI_GPU, None, False),
        (DistributedType.FSDP, None, True),
        (DistributedType.DEEPSPEED, 2, False),
        (DistributedType.DEEPSPEED, 3, True),
    ],
)
def test_weights_are_divided_by_fsdp_and_zero_3(kind, stage, expected):
    made = accelerator(kind, stage)
    assert is_sharded(made) is expected
    trainer = SimpleNamespace(accelerator=made, model_wrapped="wrapped")
    assert whole_weights(trainer) == ({"all": "wrapped"} if expected else None)
    if expected:
        with pytest.raises(SystemExit, match=r"error: train\.grpo needs a whole model on each process"):
            need_whole_model(made, "train.grpo")
    else:
        need_whole_model(made, "train.grpo")


def test_an_adapter_is_saved_from_the_weights_that_are_given(tmp_path):
    backbone = build_policy(BackboneSettings("tiny-llama", dtype="float32"), LoraShape(rank=2), 0)
    given = {name: torch.full_like(weight, 3.0) for name, weight in backbone.model.state_dict().items()}
    save_adapter(backbone, "default", tmp_path, given)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert saved
    assert all((tensor == 3.0).all() for tensor in saved.values())
