"""The reference of the KL term: the policy as the run found it, on the same weights."""

from __future__ import annotations

from peft import PeftModel

from agents.backbone import Backbone

REFERENCE = "reference"


def add_reference(backbone: Backbone, started_from_adapter: bool, fresh_engram: bool = False) -> str | None:
    """Keep what the policy "default" is now.

    A fresh adapter changes nothing, nor does a fresh Engram: their reference is the model without them. An adapter that
    was trained before (a warm start, MemLoRA's distillation) is the reference itself: the KL term is to hold the policy
    where it started.

    Args:
        backbone: Gets a frozen copy of the adapter, if one is needed.
        started_from_adapter: Whether "default" was loaded rather than made.
        fresh_engram: Whether the backbone's Engram, if it has one, was made for this run.

    Returns:
        The adapter to make active for the reference; None means none.

    Raises:
        ValueError: The backbone has no adapter.
        SystemExit: Weights are trained that the reference has to share with the policy.
    """
    model = backbone.model
    if not isinstance(model, PeftModel):
        raise ValueError(f"backbone {backbone.name!r} has no adapter: expected one named 'default'")
    if fresh_engram and not started_from_adapter:
        backbone.without_engram |= {None}
        return None
    refuse_shared_weights(backbone, "kl_coef")
    if not started_from_adapter:
        return None
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


def refuse_shared_weights(backbone: Backbone, coefficient: str) -> None:
    """See that the reference can stay what it is while the policy is trained.

    Args:
        backbone: With the adapter "default".
        coefficient: The setting that asks for a reference.

    Raises:
        SystemExit: Weights are trained that it has to share with the policy.
    """
    for name, parameter in backbone.model.named_parameters():
        if parameter.requires_grad and ".default." not in name:
            raise SystemExit(
                f"error: {name} is trained and belongs to no adapter, so the reference would change with it: set "
                f"backbone.train_engram to adapter (of a fresh Engram) or frozen, or {coefficient} to 0"
            )
