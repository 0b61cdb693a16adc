import pytest
import torch

from agents import answerer as answerer_module
from agents.answerer import AnswerAgent, read_answer
from agents.backbone import LoraSettings, add_adapter
from memgym.exam.exam import Exam, Paper
from memgym.exam.reader import ReadingTask
from memgym.memory import Entry, MemoryBank
from memgym.tasks import Question


def entry(number, text):
    return Entry(number, "semantic", text, "", (), 0, 0)


TASKS = [
    ReadingTask("Where does Mara live?", "Mara is a nurse.", (entry(1, "Mara lives in Porto."),)),
    ReadingTask("Who is Tom?", "", ()),
    ReadingTask("Where does Mara live?", "Mara is a nurse.", (entry(1, "Mara lives in Porto."),)),
]


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        ("Porto", "Porto"),
        ("  Porto \nbecause she moved", "Porto"),
        ("\n\nPorto", "Porto"),
        ("Memory 1 says Porto.\n**Answer:** Porto", "Porto"),
        ("Memory 1\n**Answer:**\n Porto\nDone", "Porto"),
        ("**Answer:**", ""),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_an_answer_is_the_first_line_after_the_mark_if_there_is_one(reply, answer):
    assert read_answer(reply) == answer


def test_answers_come_in_order_and_are_the_same_alone_and_again(tiny_backbone):
    reader = AnswerAgent(tiny_backbone, max_new_tokens=6)
    answers = reader.answer(TASKS)
    assert answers == [reader.answer([task])[0] for task in TASKS]
    assert answers[0] == answers[2]
    assert reader.answer([]) == []


def test_what_ranks_lowest_is_left_out_when_the_window_is_full(tiny_backbone, monkeypatch):
    rendered = []
    render = answerer_module.render_answer_prompt
    monkeypatch.setattr(
        answerer_module,
        "render_answer_prompt",
        lambda tokenizer, task, **options: rendered.append(task) or render(tokenizer, task, **options),
    )
    entries = (entry(5, "one two three"), entry(1, "four five"), entry(2, "six"))
    task = ReadingTask("Who?", "core words", entries)
    for window in (2, 4, 5, 6, 7, 8):
        AnswerAgent(tiny_backbone, window=window, max_new_tokens=1).answer([task])
    assert [len(seen.context) for seen in rendered] == [0, 0, 1, 1, 2, 3]
    assert all(seen.context == entries[: len(seen.context)] for seen in rendered)
    assert all(seen.core == "core words" for seen in rendered)


def test_it_answers_with_its_own_adapter_and_leaves_the_trained_one_active(own_backbone):
    bare = AnswerAgent(own_backbone, max_new_tokens=6).answer(TASKS)
    for name in ("answer", "default"):
        add_adapter(own_backbone, name, LoraSettings(rank=4))
    for name, weight in own_backbone.model.named_parameters():
        if "lora_B.answer" in name:
            torch.nn.init.ones_(weight)
    reader = AnswerAgent(own_backbone, "answer", max_new_tokens=6)
    own_backbone.model.train()
    trainable = [weight.requires_grad for weight in own_backbone.model.parameters()]
    adapted = reader.answer(TASKS)
    assert adapted != bare
    assert AnswerAgent(own_backbone, max_new_tokens=6).answer(TASKS) == bare
    assert own_backbone.model.active_adapter == "default"
    assert [weight.requires_grad for weight in own_backbone.model.parameters()] == trainable
    assert own_backbone.model.training


def test_the_reply_to_imitate_names_useful_memories_by_first_words_in_the_order_shown(tiny_backbone):
    task = ReadingTask("How long is 5?", "", (entry(2, "Per: Number 5 is long."), entry(1, "Number 0 is short.")))
    distils, answers = (AnswerAgent(tiny_backbone, distil=distil) for distil in (True, False))
    assert distils.write("5\nmetres", task, [2, 1], {2: "Per"}) == "Number 0 is\nNumber 5 is\n**Answer:** 5 metres"
    assert distils.write("none", task, [], {}) == "**Answer:** none"
    assert answers.write("5\nmetres", task, [2, 1], {2: "Per"}) == "5 metres"


def test_to_distil_takes_a_longer_reply_unless_told_otherwise(tiny_backbone):
    assert [AnswerAgent(tiny_backbone, distil=distil).max_new_tokens for distil in (False, True)] == [32, 96]
    assert AnswerAgent(tiny_backbone, distil=True, max_new_tokens=40).max_new_tokens == 40


def test_an_exam_can_be_held_with_it(tiny_backbone):
    bank = MemoryBank()
    bank.insert("semantic", "Mara lives in Porto.", timestamp="2023-04-01")
    question = Question("q1", "Where does Mara live?", ("Porto",), "1")
    (result,) = Exam(AnswerAgent(tiny_backbone, max_new_tokens=6)).grade([Paper(bank, (question,))])
    assert result.answers[0].retrieved == (1,)
    assert 0.0 <= result.score <= 1.0


def test_records_tell_readers_apart(tiny_backbone):
    names = [
        AnswerAgent(tiny_backbone).name,
        AnswerAgent(tiny_backbone, "answer").name,
        AnswerAgent(tiny_backbone, name="judge").name,
    ]
    assert names == ["lm(tiny-llama, no adapter)", "lm(tiny-llama, answer)", "judge"]


def test_a_window_without_room_is_refused(tiny_backbone):
    with pytest.raises(ValueError, match="reader window=0"):
        AnswerAgent(tiny_backbone, window=0)


def test_the_embedded_backbone_reads_a_fact_out_of_a_memory(smollm2):
    memory = (entry(1, "Olaf bought a red bicycle for 240 euros."),)
    assert "240" in AnswerAgent(smollm2).answer([ReadingTask("How much did Olaf's bicycle cost?", "", memory)])[0]
