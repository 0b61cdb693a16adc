"""Actor and critic on one backbone: the LM head gives log-probabilities, a value head beside it gives values."""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
from peft import PeftModel
from torch.nn import functional
from transformers import PreTrainedModel


class Scores(NamedTuple):
    """Of the N completion tokens of a batch of rows, row after row."""

    logps: torch.Tensor  # (N,) log-probability of the token, at the sampling temperature
    entropies: torch.Tensor  # (N,) of the distribution it was drawn from, without gradient
    values: torch.Tensor  # (N,) what the critic expects from the state it was drawn in


class ValueHead(torch.nn.Module):
    """A linear function of the normalised hidden state, 0 everywhere until it is trained. Always in float32."""

    def __init__(self, width: int) -> None:
        """``width`` is that of the hidden states."""
        super().__init__()
        self.linear = torch.nn.Linear(width, 1)
        torch.nn.init.zeros_(self.linear.weight)
        torch.nn.init.zeros_(self.linear.bias)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Hidden states (N, H) to values (N,)."""
        with torch.autocast(hidden.device.type, enabled=False):
            # Normalised, as backbones differ in scale by orders of magnitude and the learning rate should not.
            return self.linear(functional.layer_norm(hidden.float(), hidden.shape[-1:]))[:, 0]


class ActorCritic(torch.nn.Module):
    """A language model with a value head."""

    def __init__(self, model: PreTrainedModel | PeftModel, temperature: float) -> None:
        """Put a value head on a model, which is shared, not copied.

        Args:
            model: A causal language model, plain or with adapters.
            temperature: Of the sampling. Log-probabilities are those of softmax(logits / temperature), the
                distribution the tokens were drawn from.

        Raises:
            ValueError: The model's logits are not what its LM head makes of its last hidden state.
        """
        super().__init__()
        self.model = model
        self.temperature = temperature
        self.value_head = ValueHead(model.config.get_text_config().hidden_size).to(model.device)
        self._check_logits()

    def forward(self, ids: torch.Tensor, is_completion: torch.Tensor) -> Scores:
        """Score the completion tokens.

        Args:
            ids: Rows of prompt, completion, padding (B, T). No attention mask is needed: a causal model never looks to
                the right, where the padding is.
            is_completion: (B, T), True on the policy's own tokens. A prompt is the environment's text, no action of
                the policy, and padding is nobody's: neither has a part in any loss.
        """
        # The state in which the token at t was chosen is the hidden state at t - 1. Only those go through the LM head:
        # its vocabulary times the length of the prompts would cost more than all layers together.
        hidden = self._hidden(ids)[:, :-1][is_completion[:, 1:]]  # (N, H)
        tokens = ids[:, 1:][is_completion[:, 1:]]  # (N,)
        logits = self._language_model().get_output_embeddings()(hidden).float() / self.temperature  # (N, V)
        log_sums = logits.logsumexp(dim=-1)
        logps = logits.gather(-1, tokens[:, None])[:, 0] - log_sums
        with torch.no_grad():
            entropies = log_sums - (logits.softmax(dim=-1) * logits).sum(dim=-1)
        return Scores(logps, entropies, self.value_head(hidden))

    def _language_model(self) -> PreTrainedModel:
        return cast(PreTrainedModel, self.model.get_base_model()) if isinstance(self.model, PeftModel) else self.model

    def _hidden(self, ids: torch.Tensor) -> torch.Tensor:
        """Last hidden states (B, T, H)."""
        return self._language_model().base_model(input_ids=ids, use_cache=False).last_hidden_state

    @torch.no_grad()
    def _check_logits(self) -> None:
        """Some models scale or cap their logits after the LM head; scoring them without would be silently wrong."""
        ids = torch.arange(1, 4, device=self.model.device)[None]
        model = self._language_model()
        expected = model(input_ids=ids, use_cache=False).logits.float()
        found = model.get_output_embeddings()(self._hidden(ids)).float()
        if not torch.allclose(found, expected, rtol=0, atol=0.02 * float(expected.abs().max())):
            raise ValueError(
                f"{type(model).__name__} changes its logits after the LM head, which train/value_head.py does not "
                "follow: train it with train.grpo"
            )
