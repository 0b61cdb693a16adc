"""The reference of the KL term: the policy as the run found it, on the same weights."""

from __future__ import annotations

from peft import PeftModel

from agents.backbone import Backbone

REFERENCE = "reference"


def add_reference(backbone: Backbone, started_from_adapter: bool) -> str | None:
    """Keep what the policy "default" is now.

    A fresh adapter changes nothing, nor does a fresh Engram whose tables are zero: their reference is the model without
    them. An adapter that was trained before (a warm start, MemLoRA's distillation) is the reference itself: the KL term
    is to hold the policy where it started.

    Args:
        backbone: Gets a frozen copy of the adapter, if one is needed.
        started_from_adapter: Whether "default" was loaded rather than made.

    Returns:
        The adapter to make active for the reference; None means none.

    Raises:
        ValueError: The backbone has no adapter.
        SystemExit: Weights are trained that the reference has to share with the policy.
    """
    model = backbone.model
    if not isinstance(model, PeftModel):
        raise ValueError(f"backbone {backbone.name!r} has no adapter: expected one named 'default'")
    shared = [name for name, p in model.named_parameters() if p.requires_grad and ".default." not in name]
    if not started_from_adapter:
        backbone.without_engram |= {None} if shared else set()
        return None
    if shared:
        raise SystemExit(
            f"error: {shared[0]} is trained and belongs to no adapter, so the reference would change with it: set "
            "backbone.train_engram to frozen, or kl_coef to 0"
        )
    model.add_adapter(REFERENCE, model.peft_config["default"])
    parameters = dict(model.named_parameters())
    for name, parameter in parameters.items():
        if ".default." in name:
            # The data is replaced, not filled: equal dtypes make the KL of the first step exactly 0.
            copy = parameters[name.replace(".default.", f".{REFERENCE}.")]
            copy.data = parameter.data.clone()
            copy.requires_grad_(False)
    model.set_adapter("default")
    model.eval()
    return REFERENCE
