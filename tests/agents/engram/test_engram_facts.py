"""Facts written into an Engram: known afterwards, local, accounted for, and undone to the bit."""

import copy
from string import ascii_letters

import pytest
import torch

from agents.backbone import add_adapter, load_backbone
from agents.engram import EngramConfig, attach, engram_layers, engram_off, hasher_of
from agents.engram.core_facts import core_facts
from agents.engram.fact_edit import FactEdit, LayerEdit, load_fact_edit, touch_probability
from agents.engram.fact_writing import write_facts
from agents.engram.facts import IGNORED, Fact, encode_facts, pad_facts, recall
from agents.engram.overlay import ngram_keys

PEOPLE = """
Zorvin Kalmek Bainddur Teltrox Ousmani Pexlund Graavel Miltorp Fandoz Luxtemi
Brinsok Vaulteg Chimary Dorweth Nakpuli Skelbow Trundaq Hoxley Wembicu Jarnsty
"""
FACTS = [Fact(f"code of {name}", letter) for name, letter in zip(PEOPLE.split(), ascii_letters, strict=False)]
FEW = [Fact("pet of Zorvin", " cat"), Fact("pet of Kalmek", " dog")]


@pytest.fixture
def backbone(own_backbone):
    """A tiny Llama with large zero tables in both layers: hardly a collision."""
    attach(own_backbone.model, own_backbone.tokenizer, EngramConfig(layers=(0, 1), heads=4, rows=20_000, row_dim=8))
    return own_backbone


@pytest.fixture
def crowded(own_backbone):
    """The same with tables so small that everything collides with everything."""
    attach(own_backbone.model, own_backbone.tokenizer, EngramConfig(layers=(0, 1), heads=4, rows=53, row_dim=8))
    return own_backbone


def write(backbone, facts, **settings):
    # The final norm and the small head of a tiny model bound its logits: no token can be likelier than about .5.
    usual = {"confidence": 0.15, "learning_rate": 0.3, "progress": False}
    return write_facts(backbone.model, backbone.tokenizer, facts, **{**usual, **settings})


def ids_of(backbone, text):
    return backbone.tokenizer(text, return_tensors="pt")["input_ids"]


def logits(backbone, text):
    with torch.no_grad():
        return backbone.model(ids_of(backbone, text), use_cache=False).logits


def weights(model):
    return {name: weight.clone() for name, weight in model.state_dict().items()}


def assert_same(model, before):
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def rows_at(backbone, text, layer):
    """Rows (T, heads in all) that every position of a text reads."""
    hasher = hasher_of(backbone.model)
    return hasher(hasher.compress(ids_of(backbone, text)))[engram_layers(backbone.model)[layer].slot, 0]


def generated(backbone, fact):
    ids = ids_of(backbone, fact.text)
    count = len(backbone.tokenizer(fact.continuation)["input_ids"])
    output = backbone.model.generate(ids, max_new_tokens=count, do_sample=False, pad_token_id=0, eos_token_id=None)
    return backbone.tokenizer.decode(output[0, ids.shape[1] :])


# What a fact is


def test_a_fact_acts_from_the_last_token_of_its_text_on(tiny_backbone):
    (fact,) = encode_facts(tiny_backbone.tokenizer, [Fact("ab", "cde")])
    expected = tiny_backbone.tokenizer("abcde")["input_ids"]
    assert fact.ids == tuple(expected[:4])
    assert fact.targets == tuple(expected[2:])
    assert fact.trigger == 1


def test_facts_are_padded_on_the_right_and_asked_at_the_trigger_positions_only(tiny_backbone):
    batch = pad_facts(encode_facts(tiny_backbone.tokenizer, [Fact("ab", "cd"), Fact("a", "b")]), torch.device("cpu"))
    a, b, c, d = tiny_backbone.tokenizer("abcd")["input_ids"]
    assert batch.mask.tolist() == [[True, True, True], [True, False, False]]
    assert batch.targets.tolist() == [[IGNORED, c, d], [b, IGNORED, IGNORED]]
    assert batch.ids[0].tolist() == [a, b, c]
    assert batch.first == 0


@pytest.mark.parametrize("facts", [[], [Fact("", "a")], [Fact("a", "")]])
def test_nothing_to_write_is_refused(backbone, facts):
    with pytest.raises(ValueError, match=r"no facts|must not be empty"):
        write(backbone, facts)


@pytest.mark.parametrize("orders", [(), (1, 3), (3, 4)])
def test_orders_that_there_are_not_are_refused(backbone, orders):
    with pytest.raises(ValueError, match=r"^orders=.*: expected lengths of n-grams, from 2 to 3$"):
        write(backbone, FEW, orders=orders)


@pytest.mark.parametrize("settings", [{"steps": -1}, {"batch_size": 0}, {"confidence": 1.0}, {"learning_rate": 0.0}])
def test_settings_out_of_range_are_refused(backbone, settings):
    with pytest.raises(ValueError, match="expected steps >= 0"):
        write_facts(backbone.model, backbone.tokenizer, FEW, **settings)


def test_a_model_without_engram_or_with_it_off_is_refused(tiny_backbone, backbone):
    with pytest.raises(ValueError, match="no Engram"):
        write(tiny_backbone, FEW)
    with engram_off(backbone.model), pytest.raises(ValueError, match="switched off"):
        write(backbone, FEW)


# Writing


@pytest.mark.parametrize("exact", [False, True])
def test_twenty_facts_are_all_known_to_greedy_decoding(backbone, exact):
    assert not any(recall(backbone.model, backbone.tokenizer, FACTS))
    edit = write(backbone, FACTS, exact=exact)
    assert edit.known == (True,) * len(FACTS)
    assert [generated(backbone, fact) for fact in FACTS] == [fact.continuation for fact in FACTS]
    assert edit.steps < 100


def test_continuations_of_several_tokens_are_known_and_recall_agrees_with_generating(backbone):
    edit = write(backbone, FEW)
    assert [generated(backbone, fact) == fact.continuation for fact in FEW] == list(edit.known) == [True, True]


@pytest.mark.parametrize("orders", [None, (2,), (2, 3)])
def test_exactly_the_rows_read_at_the_trigger_positions_change(backbone, orders):
    before = weights(backbone.model)
    edit = write(backbone, FEW, steps=3, orders=orders)
    heads = {None: slice(4, 8), (2,): slice(0, 4), (2, 3): slice(0, 8)}[orders]  # None is the longest alone
    for index, layer in engram_layers(backbone.model).items():
        # "pet of Zorvin" ends at position 12; of " cat" the last token predicts nothing
        read = [rows_at(backbone, fact.text + fact.continuation, index)[12:-1, heads] for fact in FEW]
        expected = torch.cat(read).unique()
        assert edit.changed_rows[index] == expected.tolist()
        name = f"model.layers.{index}.engram.table.weight"
        changed = (before.pop(name) != layer.table.weight).any(dim=1)
        assert changed.nonzero().flatten().tolist() == expected.tolist()
    after = backbone.model.state_dict()
    assert all(torch.equal(after[name], weight) for name, weight in before.items())


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_the_first_step_is_adam_on_the_gradient_of_whole_sequences(own_backbone, fill_engram, exact, conv):
    """Whatever is cached, batched or laid over the table must not show in the gradient."""
    config = EngramConfig(layers=(0, 1), heads=2, rows=2003, row_dim=4, conv=conv)
    attach(own_backbone.model, own_backbone.tokenizer, config)
    fill_engram(own_backbone.model, std=0.3)
    facts = [*FEW, Fact("a much longer text about the pet of Teltrox", " ox")]
    loss = 0.0
    for fact in facts:
        ids = ids_of(own_backbone, fact.text + fact.continuation)
        first = len(fact.text)
        scores = own_backbone.model(ids, use_cache=False).logits[0, first - 1 : -1]
        loss = loss + torch.nn.functional.cross_entropy(scores, ids[0, first:], reduction="sum")
    tables = [layer.table.weight for layer in engram_layers(own_backbone.model).values()]
    gradients = torch.autograd.grad(loss, tables)
    edit = write(own_backbone, facts, steps=1, learning_rate=0.01, batch_size=2, exact=exact, orders=(2, 3))
    for change, gradient in zip(edit.layers.values(), gradients, strict=True):
        slope = gradient[change.rows]
        expected = -0.01 * slope / (slope.abs() + 1e-8)
        clear = slope.abs() > 1e-4  # below, rounding decides
        assert clear.any()
        torch.testing.assert_close((change.new - change.old)[clear], expected[clear], rtol=1e-3, atol=1e-6)


def test_gradient_flags_and_modes_are_left_as_they_were(backbone):
    backbone.model.train()
    backbone.model.lm_head.eval().requires_grad_(False)
    flags = [parameter.requires_grad for parameter in backbone.model.parameters()]
    modes = [module.training for module in backbone.model.modules()]
    with torch.no_grad():
        write(backbone, FEW, steps=2)
    assert [parameter.requires_grad for parameter in backbone.model.parameters()] == flags
    assert [module.training for module in backbone.model.modules()] == modes
    assert all(parameter.grad is None for parameter in backbone.model.parameters())


def test_facts_that_are_known_already_change_nothing(backbone):
    (first, *_) = write(backbone, FACTS[:3]).facts
    before = weights(backbone.model)
    edit = write(backbone, [first])
    assert (edit.steps, edit.known) == (0, (True,))
    assert edit.changed_rows == {0: [], 1: []}
    assert_same(backbone.model, before)
    edit.undo(backbone.model)


def test_a_fact_written_behind_contexts_is_known_behind_them(backbone):
    contexts = ["Nice to see you! ", "What a day, and so much rain. "]
    behind = [Fact(talk + fact.text, fact.continuation) for talk in contexts for fact in FACTS[:3]]
    alone = write(backbone, FACTS[:3])
    alone.undo(backbone.model)
    edit = write(backbone, FACTS[:3], contexts=contexts)
    assert edit.known == (True,) * 3
    assert all(recall(backbone.model, backbone.tokenizer, behind))
    assert edit.changed_rows == alone.changed_rows  # the same n-grams
    assert edit.layers[0].shared == alone.layers[0].shared  # a fact does not share rows with itself


def test_tables_on_the_host_lora_and_bfloat16_are_no_obstacle():
    backbone = load_backbone("tiny-qwen3", device="cpu", dtype="bfloat16")
    attach(backbone.model, backbone.tokenizer, EngramConfig(layers=(0,), heads=4, rows=5003, row_dim=8, device="host"))
    add_adapter(backbone, "default")
    before = weights(backbone.model)
    edit = write(backbone, FACTS[:4], steps=40, orders=(2, 3))
    assert edit.known == (True,) * 4
    edit.undo(backbone.model)
    assert_same(backbone.model, before)


# Undoing


@pytest.mark.parametrize("exact", [False, True])
def test_undo_and_apply_restore_every_bit(crowded, fill_engram, exact):
    fill_engram(crowded.model, std=0.1)
    before, plain = weights(crowded.model), logits(crowded, FACTS[0].text)
    edit = write(crowded, FACTS[:5], steps=5, exact=exact)
    after, written = weights(crowded.model), logits(crowded, FACTS[0].text)
    assert not torch.equal(written, plain)
    edit.undo(crowded.model)
    assert_same(crowded.model, before)
    assert torch.equal(logits(crowded, FACTS[0].text), plain)
    with pytest.raises(ValueError, match="not applied"):
        edit.undo(crowded.model)
    edit.apply(crowded.model)
    assert_same(crowded.model, after)
    assert torch.equal(logits(crowded, FACTS[0].text), written)


def test_exact_edits_cannot_be_applied_twice_but_undone_in_any_order(backbone):
    plain = logits(backbone, FACTS[0].text)
    first = write(backbone, FACTS[:2], steps=3, exact=True)
    with pytest.raises(ValueError, match="applied already"):
        first.apply(backbone.model)
    alone = logits(backbone, FACTS[0].text)
    second = write(backbone, FACTS[2:4], steps=3, exact=True)
    assert torch.equal(logits(backbone, FACTS[0].text), alone)
    first.undo(backbone.model)
    assert torch.equal(logits(backbone, FACTS[0].text), plain)
    second.undo(backbone.model)
    assert not any(layer._forward_pre_hooks for layer in engram_layers(backbone.model).values())


def test_an_edit_cannot_be_applied_twice_or_undone_beneath_a_later_one(crowded):
    before = weights(crowded.model)
    first = write(crowded, FACTS[:2], steps=3)
    with pytest.raises(ValueError, match="applied already"):
        first.apply(crowded.model)
    second = write(crowded, FACTS[:2], steps=3)
    with pytest.raises(ValueError, match="later edits must be undone first"):
        first.undo(crowded.model)
    second.undo(crowded.model)
    first.undo(crowded.model)
    assert_same(crowded.model, before)


@pytest.mark.parametrize("exact", [False, True])
def test_a_saved_edit_works_on_another_copy_of_the_model(backbone, tmp_path, exact):
    plain = copy.deepcopy(backbone.model)
    edit = write(backbone, FEW, steps=4, exact=exact)
    edit.save(tmp_path / "edit")
    loaded = load_fact_edit(tmp_path / "edit")
    assert (loaded.facts, loaded.known, loaded.steps, loaded.exact) == (edit.facts, edit.known, edit.steps, exact)
    assert loaded.summary() == edit.summary()
    assert {i: layer.shared for i, layer in loaded.layers.items()} == {i: e.shared for i, e in edit.layers.items()}
    written = logits(backbone, FEW[0].text)
    backbone.model = plain
    loaded.apply(plain)
    assert torch.equal(logits(backbone, FEW[0].text), written)


def test_an_exact_edit_can_be_undone_on_a_deep_copy_alone(backbone):
    plain = logits(backbone, FEW[0].text)
    edit = write(backbone, FEW, steps=4, exact=True)
    written, original = logits(backbone, FEW[0].text), backbone.model
    backbone.model = copy.deepcopy(original)
    edit.undo(backbone.model)
    assert torch.equal(logits(backbone, FEW[0].text), plain)
    backbone.model = original
    assert torch.equal(logits(backbone, FEW[0].text), written)


def test_an_edit_of_another_engram_and_an_empty_folder_are_refused(backbone, tmp_path):
    edit = write(backbone, FEW, steps=1)
    other = load_backbone("tiny-llama", device="cpu")
    attach(other.model, other.tokenizer, EngramConfig(layers=(0, 1), heads=4, rows=20_000, row_dim=8, seed=1))
    with pytest.raises(ValueError, match=r"another Engram \(multipliers differ\)"):
        edit.apply(other.model)
    with pytest.raises(ValueError, match="no facts in"):
        load_fact_edit(tmp_path)


# Locality


def test_a_prompt_that_reads_no_changed_row_keeps_its_logits_to_the_bit(backbone):
    prompts = ["All was well.", "Shall we go?", "bread and jam", FACTS[0].text]
    plain = [logits(backbone, prompt) for prompt in prompts]
    edit = write(backbone, FACTS[:5], steps=5)

    def touched(prompt):
        return any(set(rows_at(backbone, prompt, i).flatten().tolist()) & set(edit.changed_rows[i]) for i in (0, 1))

    expected = [not touched(prompt) for prompt in prompts]
    assert expected == [True, True, True, False]
    assert [torch.equal(logits(backbone, p), before) for p, before in zip(prompts, plain, strict=True)] == expected


def test_an_exact_edit_leaves_the_tables_and_every_other_n_gram_alone(crowded):
    prompt = "Shall we go for a swim?"
    plain, before = logits(crowded, prompt), weights(crowded.model)
    written = write(crowded, FACTS[:5], steps=5)
    assert not torch.equal(logits(crowded, prompt), plain)  # in tables this small it collides
    written.undo(crowded.model)
    edit = write(crowded, FACTS[:5], steps=5, exact=True)
    assert edit.changed_rows == written.changed_rows
    assert written.touch_probability > 0.0 == edit.touch_probability
    assert torch.equal(logits(crowded, prompt), plain)
    assert_same(crowded.model, before)


@pytest.mark.parametrize("exact", [False, True])
def test_spared_texts_keep_their_logits_to_the_bit(crowded, exact):
    talk = ["Shall we go for a swim?", "An old vine"]  # "vin" is where the first fact is written
    plain = [logits(crowded, text) for text in talk]
    unspared = write(crowded, FACTS[:5], steps=5, orders=(2, 3), exact=exact)
    assert not all(torch.equal(logits(crowded, text), before) for text, before in zip(talk, plain, strict=True))
    unspared.undo(crowded.model)
    edit = write(crowded, FACTS[:5], steps=5, orders=(2, 3), exact=exact, spare=talk)
    assert all(torch.equal(logits(crowded, text), before) for text, before in zip(talk, plain, strict=True))
    assert not torch.equal(logits(crowded, FACTS[1].text), unedited(crowded, edit, FACTS[1].text))
    for index in (0, 1):
        read = {row for text in talk for row in rows_at(crowded, text, index).flatten().tolist()}
        lost = set(unspared.changed_rows[index]) - set(edit.changed_rows[index])
        assert lost and (exact or lost == read & set(unspared.changed_rows[index]))


def unedited(backbone, edit, text):
    edit.undo(backbone.model)
    shown = logits(backbone, text)
    edit.apply(backbone.model)
    return shown


def test_facts_written_before_are_kept_when_their_texts_are_spared(backbone):
    first = write(backbone, FACTS[:3])
    texts = [fact.text for fact in first.facts]
    written = [logits(backbone, text) for text in texts]
    second = write(backbone, FACTS[3:8], orders=(2, 3), spare=texts)
    assert second.known == (True,) * 5
    assert all(torch.equal(logits(backbone, text), before) for text, before in zip(texts, written, strict=True))
    assert all(recall(backbone.model, backbone.tokenizer, first.facts))


@pytest.mark.parametrize("exact", [False, True])
def test_a_fact_that_is_left_no_row_stays_unknown_and_does_not_harm_the_others(backbone, exact):
    edit = write(backbone, FACTS[:3], spare=[FACTS[1].text], steps=40, batch_size=1, exact=exact)
    assert edit.known == (True, False, True)


@pytest.mark.parametrize("exact", [False, True])
def test_sparing_all_there_is_to_write_is_refused_and_changes_nothing(backbone, exact):
    before = weights(backbone.model)
    with pytest.raises(ValueError, match=r"^the texts to spare read all rows that the facts would be written into"):
        write(backbone, FACTS[:2], spare=[fact.text for fact in FACTS[:2]], exact=exact)
    assert_same(backbone.model, before)
    assert not any(layer._forward_pre_hooks for layer in engram_layers(backbone.model).values())


def test_cached_decoding_reads_an_exact_edit_as_a_whole_sequence_does(backbone):
    write(backbone, FEW, steps=5, exact=True)
    ids = ids_of(backbone, "the pet of Zorvin ca")
    whole = logits(backbone, "the pet of Zorvin ca")
    with torch.no_grad():
        start = backbone.model(ids[:, :9], use_cache=True)
        rest = backbone.model(ids[:, 9:], past_key_values=start.past_key_values, use_cache=True)
    torch.testing.assert_close(torch.cat([start.logits, rest.logits], dim=1), whole, atol=1e-5, rtol=0)


def test_n_grams_are_told_apart_by_all_their_rows_of_one_order():
    rows = torch.tensor([[3, 8, 20, 31], [3, 8, 20, 32], [4, 8, 20, 31]])
    first, second = ngram_keys(rows, heads=2).unbind(dim=-1)
    assert first[0] == first[1] != first[2]
    assert second[0] == second[2] != second[1]


# Accounting


def test_two_facts_that_end_alike_share_the_rows_of_the_shorter_n_gram(backbone):
    edit = write(backbone, [Fact("xab", "c"), Fact("yab", "d")], steps=2, orders=(2, 3))
    for index, layer in edit.layers.items():
        bigram = rows_at(backbone, "xab", index)[-1, :4].tolist()  # order by order, 4 heads each
        assert layer.shared == {row: (0, 1) for row in bigram}
        assert len(layer.rows) == 4 + 4 + 4


def test_the_probability_of_touching_a_written_row_is_that_of_independent_heads():
    heads = torch.tensor([[5], [7]])  # rows 0-4 and 5-11
    assert touch_probability(torch.tensor([0, 1, 5]), heads) == pytest.approx(1 - (3 / 5) * (6 / 7))
    assert touch_probability(torch.tensor([], dtype=torch.long), heads) == 0.0
    layer = LayerEdit(torch.tensor([0]), torch.zeros(1, 2), torch.ones(1, 2), None, {0: (0, 1)}, 0.5)
    edit = FactEdit((Fact("a", "b"),) * 2, (True, False), {0: layer, 1: layer}, 7, False, {})
    assert edit.touch_probability == 0.75
    assert edit.summary() == {
        "facts": 2,
        "recall": 0.5,
        "steps": 7,
        "rows_changed": 2,
        "rows_shared": 2,
        "touch_probability": 0.75,
    }


# The core paragraph


def test_sentences_of_a_core_paragraph_are_split_where_they_can_be_told_apart():
    paragraph = (
        "The user likes tea. The user likes tall trees a lot! Mara owns a dog.  Mara owns a dog. Indeed. Hi you?"
    )
    assert core_facts(paragraph, words=2) == [
        Fact("The user likes", " tea."),
        Fact("The user likes tall", " trees a lot!"),
        Fact("Mara owns", " a dog."),
        Fact("Hi", " you?"),
    ]


def test_core_facts_of_nothing_are_none_and_starts_have_words():
    assert core_facts("") == core_facts(" \n") == []
    with pytest.raises(ValueError, match="words=0"):
        core_facts("The user likes tea.", words=0)


def test_a_core_paragraph_is_known_without_being_shown(backbone):
    facts = core_facts("Mara has a cat. Otto bakes.", words=2)
    assert write(backbone, facts, steps=60).known == (True, True)
