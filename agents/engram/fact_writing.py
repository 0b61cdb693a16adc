"""Writing facts into the rows of an Engram, and into nothing else.

The idea is that of user-as-engram (arXiv 2606.19172): a row is read wherever its n-gram stands, so what a user's facts
have in common, the weights, stays, and what is theirs goes into the few rows that the ends of their texts read. Rows of
earlier positions are left alone: "The user's" stands in front of much else. So are, if not asked for, the rows of the
shorter n-grams: "is Paris" stands in other places than the fact's own, "Zorvin is Paris" hardly.

Two things make it cheap. Positions before the first one that reads a changed row compute the same in every step, so
their keys and values are computed once. And facts that the model knows already rest, but for a review now and then.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import torch
from peft import PeftModel
from tqdm import tqdm
from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase

from agents.engram.attach import engram_layers, hasher_of
from agents.engram.fact_edit import FactEdit, addresses
from agents.engram.fact_rows import Site, check_orders, draft, first_changes, layer_edit, rows_of_texts
from agents.engram.facts import (
    IGNORED,
    EncodedFact,
    Fact,
    FactBatch,
    encode_facts,
    pad_facts,
    recall,
    rows_read,
    token_losses,
)
from agents.engram.layer import EngramLayer

REVIEW = 10  # steps between two looks at the facts that rest: others may have changed rows they share


def write_facts(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    facts: Sequence[Fact],
    *,
    contexts: Sequence[str] = (),
    spare: Sequence[str] = (),
    orders: Sequence[int] | None = None,
    steps: int = 100,
    learning_rate: float = 1.0,
    confidence: float = 0.9,
    batch_size: int = 32,
    exact: bool = False,
    progress: bool = True,
) -> FactEdit:
    """Make a model know facts by changing rows of its Engram, jointly for all facts. Nothing else changes.

    The rows are those read at the last position of each text and, where a continuation has several tokens, at every
    later position that predicts one of them. Lazy Adam minimises the negative log-likelihood of the continuations.

    Args:
        model: With an Engram, whose tables may hold anything. Its gradient flags and modes are left as they were.
        tokenizer: Its tokenizer.
        facts: What to write. Facts whose texts end in the same tokens share all their rows; the edit says which.
        contexts: Texts, such as turns of small talk, behind which every fact is to hold as well as alone. A fact
            written without any may be known as the first words of a prompt only. Each costs as much time again.
        spare: Prompts whose logits are to stay the same to the bit: rows that they read are not written (with
            ``exact``: n-grams that they hold). The more everyday talk stands here, the less of other talk is changed
            by collisions; and facts that were written before are kept. A fact that is left no row stays unknown.
        orders: Lengths of the n-grams whose rows are written; None for the longest alone.
        steps: Most steps of the optimiser. It stops early once all facts are known.
        learning_rate: Of Adam. Large, as the fresh projections of a retrofit pass on about a fifth of a row.
        confidence: Probability that every token of a continuation is to reach; then the fact rests.
        batch_size: Facts per forward pass. A step goes through all facts whatever it is.
        exact: Let only the written n-grams read the new rows, so that no other text can change by a collision of
            hashes. The tables stay as they are; see ``FactEdit``.
        progress: Whether to show a bar.

    Returns:
        The edit, applied to the model.

    Raises:
        ValueError: The model has no Engram or it is switched off, there are no facts or empty ones, ``spare`` leaves
            no row to write, or a number is out of range.
    """
    _check(steps=steps, batch_size=batch_size, confidence=confidence, learning_rate=learning_rate)
    settings = ("", *contexts)
    encoded = encode_facts(tokenizer, [replace(fact, text=lead + fact.text) for fact in facts for lead in settings])
    owners = [number for number in range(len(facts)) for _ in settings]
    hasher, engrams = hasher_of(model), _enabled(model)
    lengths = check_orders(orders, hasher.config.max_order)
    with _frozen(model):
        whole = pad_facts(encoded, model.device)
        read, kept = rows_read(hasher, whole), rows_of_texts(hasher, tokenizer, spare)
        acting = whole.targets != IGNORED  # (B, T)
        sites = [
            Site(
                index,
                engram,
                rows,
                draft(engram, rows[acting], kept[engram.slot], heads=hasher.config.heads, orders=lengths, exact=exact),
            )
            for index, engram in engrams.items()
            for rows in [read[engram.slot]]
        ]
        with _installed(sites):
            batches = list(_batches(model, encoded, first_changes(sites, whole), batch_size))
            vectors = [site.overlay.vectors for site in sites if len(site.overlay.rows)]
            taken = _Writer(model, batches, vectors, learning_rate, confidence).run(len(encoded), steps, progress)
        layers = {site.index: layer_edit(site, hasher, whole, owners) for site in sites}
        edit = FactEdit(tuple(facts), (), layers, taken, exact, addresses(hasher))
        edit.apply(model)
        return replace(edit, known=tuple(recall(model, tokenizer, facts, batch_size=batch_size)))


def _check(*, steps: int, batch_size: int, confidence: float, learning_rate: float) -> None:
    if steps < 0 or batch_size < 1 or not 0.0 < confidence < 1.0 or learning_rate <= 0.0:
        raise ValueError(
            f"steps={steps}, batch_size={batch_size}, confidence={confidence}, learning_rate={learning_rate}: expected "
            "steps >= 0, batch_size >= 1, 0 < confidence < 1 and learning_rate > 0"
        )


def _enabled(model: PreTrainedModel | PeftModel) -> dict[int, EngramLayer]:
    found = {index: engram for index, engram in engram_layers(model).items() if engram.enabled}
    if not found:
        raise ValueError("the model's Engram is switched off: facts cannot be written inside engram_off")
    return found


@contextmanager
def _frozen(model: PreTrainedModel | PeftModel) -> Iterator[None]:
    """Eval mode, gradients on, but for no weight; what was set before is put back."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        model.eval().requires_grad_(False)
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


@contextmanager
def _installed(sites: Sequence[Site]) -> Iterator[None]:
    """Within the block the drafts lie over the tables.

    Raises:
        ValueError: There is no row to write.
    """
    if not any(len(site.overlay.rows) for site in sites):
        raise ValueError("the texts to spare read all rows that the facts would be written into: spare fewer of them")
    with ExitStack() as removals:
        for site in sites:
            site.overlay.install(site.engram)
            removals.callback(site.overlay.remove, site.engram)
        yield


@dataclass(frozen=True, slots=True)
class _Batch:
    numbers: list[int]  # of its facts
    facts: FactBatch
    cut: int  # columns before it are in the cache
    cache: Cache | None

    def losses(self, model: PreTrainedModel | PeftModel, chosen: list[int]) -> torch.Tensor:
        """Negative log-likelihoods (chosen, columns from the first target on) for some of the facts."""
        keep = torch.tensor(chosen, device=self.facts.ids.device)
        cache = None
        if self.cache is not None:
            cache = copy.deepcopy(self.cache)  # a forward pass appends to it
            cache.reorder_cache(keep)  # type: ignore[arg-type]  # wants a LongTensor, which keep is
        first = self.facts.first
        logits = model(
            input_ids=self.facts.ids[keep, self.cut :],
            attention_mask=self.facts.mask[keep].long(),
            past_key_values=cache,
            use_cache=cache is not None,
            logits_to_keep=self.facts.ids.shape[1] - first,
        ).logits
        return token_losses(logits, self.facts.targets[keep, first:])


def _batches(
    model: PreTrainedModel | PeftModel, encoded: Sequence[EncodedFact], cuts: Sequence[int], size: int
) -> Iterator[_Batch]:
    """Facts of about equal cuts together, so that little is cached too late."""
    order = sorted(range(len(encoded)), key=lambda number: (cuts[number], len(encoded[number].ids)))
    for start in range(0, len(order), size):
        numbers = order[start : start + size]
        facts, cut = pad_facts([encoded[number] for number in numbers], model.device), cuts[numbers[0]]
        yield _Batch(numbers, facts, cut, _prefix_cache(model, facts.ids[:, :cut]) if cut else None)


@torch.no_grad()
def _prefix_cache(model: PreTrainedModel | PeftModel, ids: torch.Tensor) -> Cache:
    """Keys and values of ids (B, T) without padding."""
    output = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True, logits_to_keep=1)
    return output.past_key_values


class _Writer:
    """Optimises the vectors of all layers."""

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        batches: list[_Batch],
        vectors: list[torch.Tensor],
        learning_rate: float,
        confidence: float,
    ) -> None:
        self.model = model
        self.batches = batches
        self.vectors = vectors
        self.enough = -math.log(confidence)
        # Sparse, that is lazy: a row that no fact at hand reads is not moved by the momentum of earlier steps.
        self.optimiser = torch.optim.SparseAdam(vectors, lr=learning_rate)

    def run(self, count: int, steps: int, progress: bool) -> int:
        """Write ``count`` facts in at most ``steps`` steps; returns how many it took."""
        learned = [False] * count
        with tqdm(total=steps, desc="writing facts", unit="step", disable=not progress) as bar:
            for step in range(steps):
                review = step % REVIEW == 0 or all(learned)
                for batch in self.batches:
                    self._accumulate(batch, learned, review)
                bar.set_postfix_str(f"{sum(learned)}/{count} known")
                if review and all(learned):
                    return step
                self._step()
                bar.update()
        return steps

    def _accumulate(self, batch: _Batch, learned: list[bool], review: bool) -> None:
        """Add the gradient of one batch, and note which facts the model knows."""
        chosen = [place for place, number in enumerate(batch.numbers) if review or not learned[number]]
        if not chosen:
            return
        losses = batch.losses(self.model, chosen)
        losses.sum().backward()
        for place, worst in zip(chosen, losses.detach().amax(dim=1).tolist(), strict=True):
            learned[batch.numbers[place]] = worst <= self.enough

    def _step(self) -> None:
        for vectors in self.vectors:
            if vectors.grad is not None:
                vectors.grad = vectors.grad.to_sparse(1)
        self.optimiser.step()
        self.optimiser.zero_grad()
