import pytest

from agents.tiny import build_byte_tokenizer, build_tiny


@pytest.mark.parametrize("text", ["", " a  b\n\n\t1 2023-05-08", "Zoë \u65e5\u672c \U0001f600", "\x00\x7f", "'s 're"])
def test_every_byte_is_a_token_and_nothing_is_lost(text):
    tokenizer = build_byte_tokenizer()
    ids = tokenizer(text)["input_ids"]
    assert len(ids) == len(text.encode())
    assert tokenizer.decode(ids) == text


def test_control_tokens_have_fixed_ids_and_padding_is_not_the_end():
    tokenizer = build_byte_tokenizer()
    assert tokenizer("<|endoftext|><|im_start|><|im_end|>")["input_ids"] == [0, 1, 2]
    assert (tokenizer.pad_token_id, tokenizer.bos_token_id, tokenizer.eos_token_id) == (0, 1, 2)
    assert len(tokenizer) == 259


def test_the_chat_template_is_chatml():
    text = build_byte_tokenizer().apply_chat_template(
        [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        add_generation_prompt=True,
        tokenize=False,
    )
    assert text == "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n"


def test_an_unknown_name_is_refused():
    with pytest.raises(
        ValueError, match="tiny backbone 'tiny-gpt': expected one of tiny-llama, tiny-qwen2, tiny-qwen3"
    ):
        build_tiny("tiny-gpt")
