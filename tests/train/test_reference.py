import pytest
import torch

from agents import engram
from agents.backbone import active_adapter, attach_engram
from train.reference import REFERENCE, add_reference
from train.turns import Turn, collate
from train.value_head import ActorCritic

ROWS = [Turn((5, 6, 7, 8), (9, 10), 0.0), Turn((5,), (11, 12, 13, 2), 0.0)]


def logps(backbone, adapter):
    with torch.no_grad(), active_adapter(backbone, adapter):
        return ActorCritic(backbone.model, 1.0)(*collate(ROWS, 0, torch.device("cpu"))).logps


def change(backbone):
    with torch.no_grad():
        for name, parameter in backbone.model.named_parameters():
            if "lora_B.default" in name:
                parameter += 0.1


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_reference_is_the_adapter_that_the_run_started_from_and_stays_so(policy, dtype):
    for parameter in policy.model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(dtype)
    trained = [name for name, p in policy.model.named_parameters() if p.requires_grad]
    before = logps(policy, "default")
    assert add_reference(policy, started_from_adapter=True) == REFERENCE
    assert torch.equal(logps(policy, REFERENCE), before)  # to the bit, or the first KL would not be 0
    assert policy.model.active_adapter == "default"
    assert [name for name, p in policy.model.named_parameters() if p.requires_grad] == trained
    change(policy)
    assert not torch.allclose(logps(policy, "default"), before)
    assert torch.equal(logps(policy, REFERENCE), before)
    assert not torch.allclose(logps(policy, None), before)


def test_a_fresh_adapters_reference_is_the_model_without_it(policy):
    assert add_reference(policy, started_from_adapter=False) is None
    assert policy.adapters == ("default",)


def test_an_engram_that_the_backbone_came_with_is_part_of_the_reference(policy):
    """Trained, it would change with the policy; left alone, the reference computes with it."""
    attach_engram(policy, {"heads": 2, "rows": 101, "row_dim": 4})
    assert add_reference(policy, started_from_adapter=False) is None
    assert None not in policy.without_engram
    engram.set_trainable(policy.model, True)
    with pytest.raises(SystemExit, match="is trained and belongs to no adapter"):
        add_reference(policy, started_from_adapter=False)
    assert add_reference(policy, started_from_adapter=False, fresh_engram=True) is None
    assert None in policy.without_engram


def test_a_backbone_without_an_adapter_has_no_reference(own_backbone):
    with pytest.raises(ValueError, match="has no adapter: expected one named 'default'"):
        add_reference(own_backbone, started_from_adapter=True)
