import json
import logging

import pytest
import torch

from agents.backbone import LoraSettings, add_adapter, load_backbone
from agents.fact_pipeline import Reply
from agents.facts import read_changes, read_facts
from agents.memlora import OPERATIONS
from memgym.records import Manifest
from memgym.tasks.procedural import DialogueGenerator
from tests.scripted import tea_story, write_custom, write_locomo
from train import distill
from train.distilled import load_examples, read_samples, samples_path, write_samples
from train.endpoint import ChatEndpoint

DIALOGUE = {"chunks": 5, "turns_per_chunk": 4, "questions": 5, "verbosity": "short", "update_rate": 0.4, "noise": 0.2}


def run(folder, *argv):
    distill.main([*map(str, argv), "--output_dir", str(folder)])
    return {operation: read_samples(samples_path(folder, operation)) for operation in OPERATIONS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Samples of the oracle over ten small dialogues."""
    path = tmp_path_factory.mktemp("distilled")
    run(path, "--episodes", 10, "--num_envs", 4, "--env.kwargs", f"{{dialogue: {json.dumps(DIALOGUE)}, retrieve: 3}}")
    return path


@pytest.fixture(scope="module")
def samples(folder):
    return {operation: read_samples(samples_path(folder, operation)) for operation in OPERATIONS}


@pytest.fixture(scope="module")
def dialogues():
    generator = DialogueGenerator(**DIALOGUE)
    return {(d := generator.dialogue(0, index, "train")).episode.id: d for index in range(10)}


# --- What the oracle leaves behind -----------------------------------------------------------------------------------


def test_extractions_are_the_facts_of_the_chunk_with_their_turns(samples, dialogues):
    assert len(samples["extract"]) == 50
    told = 0
    for sample in samples["extract"]:
        dialogue = dialogues[sample.conversation]
        chunk = dialogue.episode.chunks[sample.chunk]
        expected = {fact.text: fact.turn_id for fact in dialogue.facts if fact.turn_id in chunk.turn_ids}
        facts = read_facts(sample.completion)
        assert sample.user.endswith(chunk.text)
        assert sample.turns == tuple(dict.fromkeys(expected[fact] for fact in facts))
        told += len(facts)
    assert told > 0.95 * sum(len(dialogue.facts) for dialogue in dialogues.values())


def test_updates_add_rewrite_and_delete(samples):
    kinds = [change.kind for sample in samples["update"] for change in read_changes(sample.completion)]
    assert set(kinds) == {"ADD", "UPDATE", "DELETE"}
    for sample in samples["update"]:
        notes = sample.user.split("\n")[:-1]
        assert all(change.number <= len(notes) for change in read_changes(sample.completion))
        assert len(sample.turns) == 1


def test_answers_are_the_gold_ones_over_what_the_memory_gives(samples, dialogues):
    golds = {q.text: q.answers[0] for dialogue in dialogues.values() for q in dialogue.episode.questions}
    assert len(samples["answer"]) == 50
    for sample in samples["answer"]:
        *notes, question = sample.user.split("\n")
        assert sample.completion == golds[question.removeprefix("Question: ")]
        assert len(notes) <= 3


def test_the_manifest_counts_what_became_of_every_call(folder, samples):
    manifest = Manifest.read(folder)
    assert (manifest.agent, manifest.env, manifest.reader) == ("oracle", "memgym/Dialogue-v0", "gold")
    counts = manifest.extra["counts"]
    assert {operation: counts[operation]["kept"] for operation in OPERATIONS} == {
        operation: len(samples[operation]) for operation in OPERATIONS
    }
    rejected = {reason: number for reason, number in counts["update"].items() if reason not in ("calls", "kept")}
    assert counts["update"]["calls"] == len(samples["update"]) + sum(rejected.values())
    assert manifest.extra["settings"]["teacher"] == "oracle"


def test_the_same_run_gives_the_same_files(folder, tmp_path):
    run(
        tmp_path,
        "--episodes",
        10,
        "--num_envs",
        7,
        "--env.kwargs",
        f"{{dialogue: {json.dumps(DIALOGUE)}, retrieve: 3}}",
    )
    for operation in OPERATIONS:
        again, first = (set(samples_path(path, operation).read_text().split("\n")) for path in (tmp_path, folder))
        assert again == first


# --- Other teachers --------------------------------------------------------------------------------------------------


@pytest.fixture
def locomo(tmp_path):
    """An invented file with annotations."""
    path = write_locomo(tmp_path / "locomo10.json")
    records = json.loads(path.read_text())
    for record in records:
        number = record["sample_id"].removeprefix("conv-")
        record["observation"] = {"session_1_observation": {"Ulla": [[f"Ulla saw boat {number} leave.", "D1:1"]]}}
    path.write_text(json.dumps(records))
    return path


def test_locomos_annotations_teach_extraction(locomo, tmp_path):
    kwargs = f"{{split: train, path: {locomo}}}"
    samples = run(tmp_path / "run", "--teacher", "annotations", "--env.id", "memgym/LoCoMo-v0", "--env.kwargs", kwargs)
    assert [(s.completion, s.turns, s.conversation) for s in samples["extract"]] == [
        ("Ulla saw boat 26 leave.", ("D1:1",), "conv-26")
    ]
    assert [(s.completion, s.turns) for s in samples["answer"]] == [("1", ("D1:1",))]


def test_a_model_by_name_teaches_with_prompts_that_explain_the_student_learns_the_short_ones(tmp_path):
    dialogue = {"chunks": 2, "turns_per_chunk": 2, "questions": 2, "verbosity": "short"}
    argv = ("--teacher", "model", "--model", "tiny-llama", "--max_new_tokens", 4, "--episodes", 1)
    samples = run(tmp_path, *argv, "--env.kwargs", f"{{dialogue: {json.dumps(dialogue)}}}")
    counts = Manifest.read(tmp_path).extra["counts"]
    assert counts["extract"] == {"calls": 2, "kept": 0, "truncated": 2}, "a random model does not come to an end"
    assert counts["answer"] == {"calls": 2, "kept": 2, "gold_substituted": 2}
    assert {sample.teacher for sample in samples["answer"]} == {"model:tiny-llama"}


def test_a_run_that_stopped_goes_on_and_pays_for_nothing_twice(tmp_path, monkeypatch):
    asked, broken = [], []

    def complete(self, system, user):
        if len(asked) in broken:
            raise OSError("the server is gone")
        asked.append((system, user))
        return Reply("ADD" if "NONE" in system else user.split("\n")[-1].replace(":", " says"))

    monkeypatch.setattr(ChatEndpoint, "complete", complete)
    dialogue = {"chunks": 2, "turns_per_chunk": 2, "questions": 2, "verbosity": "short"}
    argv = ["--teacher", "endpoint", "--model", "big", "--url", "http://localhost:1/v1", "--episodes", 3]
    argv += ["--num_envs", 2, "--env.kwargs", f"{{dialogue: {json.dumps(dialogue)}}}"]
    whole = run(tmp_path / "whole", *argv)
    assert all(whole.values())
    paid, broken = list(asked), [len(asked) // 2]
    asked.clear()
    with pytest.raises(SystemExit, match="error: the server is gone"):
        run(tmp_path / "stopped", *argv)
    broken.clear()
    assert run(tmp_path / "stopped", *argv, "--resume", "true") == whole
    assert asked == paid
    assert run(tmp_path / "stopped", *argv, "--resume", "true", "--max_completion", 1)["extract"] == []
    assert asked == paid, "cleaning anew asks for nothing"
    with pytest.raises(SystemExit, match="error: --resume true, but model is 'small' and was 'big'"):
        run(tmp_path / "stopped", *argv, "--resume", "true", "--model", "small")
    with pytest.raises(SystemExit, match=r"error: .*calls\.jsonl is there from an earlier run"):
        run(tmp_path / "stopped", *argv)


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["--teacher", "nobody"], "teacher 'nobody': expected one of oracle, annotations, model, endpoint"),
        (["--teacher", "model"], "teacher 'model' needs --model"),
        (["--teacher", "endpoint", "--model", "x"], "endpoint url=''"),
        (["--teacher", "annotations"], "teacher 'annotations' knows LoCoMo only, not 'dialogue'"),
        (["--episodes", "0"], "no episode from number 0"),
        (["--num_envs", "0"], "num_envs=0: expected at least 1"),
        (["--none_share", "1"], "max_tokens=1500, max_completion=200, none_share=1"),
    ],
)
def test_a_mistake_ends_the_program_with_one_line(argv, error, tmp_path):
    with pytest.raises(SystemExit, match=f"error: {error}"):
        run(tmp_path, *argv)


# --- The split -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "conversation"), [("validation", "conv-30"), ("test", "conv-41"), ("all", "conv-30")]
)
def test_a_conversation_of_another_split_is_refused_by_name(locomo, tmp_path, split, conversation):
    kwargs = f"{{split: {split}, path: {locomo}}}"
    with pytest.raises(
        SystemExit, match=f"error: task locomo: conversation '{conversation}' is of the .* split"
    ) as caught:
        run(tmp_path / "run", "--env.id", "memgym/LoCoMo-v0", "--env.kwargs", kwargs)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_custom_episodes_have_to_be_training_episodes(tmp_path):
    path = write_custom(tmp_path / "stories.jsonl", tea_story())
    with pytest.raises(SystemExit, match="error: task custom: conversation 'story' is of the test split"):
        run(tmp_path / "run", "--env.id", "memgym/Custom-v0", "--env.kwargs", f"{{path: {path}}}")


def test_a_teachers_log_with_a_validation_conversation_trains_nothing(samples, tmp_path, tiny_backbone):
    from dataclasses import replace

    path = tmp_path / "extract.jsonl"
    write_samples(
        path, [*samples["extract"][:2], replace(samples["extract"][2], conversation="conv-30", split="validation")]
    )
    with pytest.raises(ValueError, match="conversation 'conv-30' is of the validation split; only"):
        load_examples(path, tiny_backbone.tokenizer)


# --- Examples --------------------------------------------------------------------------------------------------------


def test_completions_are_the_samples_with_the_end_token_and_prompts_end_where_they_begin(
    samples, folder, tiny_backbone
):
    tokenizer = tiny_backbone.tokenizer
    for operation in OPERATIONS:
        examples = load_examples(samples_path(folder, operation), tokenizer)
        for sample, example in zip(samples[operation], examples, strict=True):
            assert tokenizer.decode(example.completion_ids) == sample.completion + "<|im_end|>"
            prompt = tokenizer.decode(example.prompt_ids)
            assert sample.system in prompt and sample.user in prompt
            assert prompt.endswith("<|im_start|>assistant\n")


def test_samples_that_are_too_long_are_left_out_and_counted(folder, tiny_backbone, caplog):
    path = samples_path(folder, "extract")
    lengths = sorted(len(e.prompt_ids + e.completion_ids) for e in load_examples(path, tiny_backbone.tokenizer))
    limit = lengths[len(lengths) // 2]
    with caplog.at_level(logging.WARNING):
        kept = load_examples(path, tiny_backbone.tokenizer, max_tokens=limit)
    assert len(kept) == sum(length <= limit for length in lengths) < len(lengths)
    assert f"left out {len(lengths) - len(kept)} of {len(lengths)} samples, over {limit} tokens" in caplog.text
    with pytest.raises(ValueError, match=r"none of 50 samples has at most 9 tokens"):
        load_examples(path, tiny_backbone.tokenizer, max_tokens=9)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "line 1: not a sample of train.distill"),
        ('{"operation": "extract"}', "line 1: not a sample of train.distill"),
        ("[]", "line 1: not a sample of train.distill"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, line, error):
    path = tmp_path / "x.jsonl"
    path.write_text(line)
    with pytest.raises(ValueError, match=error):
        read_samples(path)
    with pytest.raises(ValueError, match="no such file; expected samples"):
        read_samples(tmp_path / "nowhere.jsonl")


# --- Learning --------------------------------------------------------------------------------------------------------


@pytest.fixture
def decided_backbone():
    """A tiny Llama whose frozen head can be sure of a token: as it comes, the likeliest has about even chances."""
    backbone = load_backbone("tiny-llama", device="cpu")
    with torch.no_grad():
        backbone.model.lm_head.weight *= 4
    return backbone


@pytest.fixture(scope="module")
def short_samples(tmp_path_factory):
    """Fifty samples per operation with short prompts."""
    path = tmp_path_factory.mktemp("short")
    dialogue = {**DIALOGUE, "chunks": 4, "turns_per_chunk": 2, "questions": 4}
    run(path, "--episodes", 25, "--similar", 1, "--env.kwargs", f"{{dialogue: {json.dumps(dialogue)}, retrieve: 1}}")
    return path


@pytest.mark.parametrize("operation", OPERATIONS)
def test_fifty_oracle_samples_halve_the_loss_of_each_adapter(operation, short_samples, decided_backbone):
    backbone = decided_backbone
    examples = load_examples(samples_path(short_samples, operation), backbone.tokenizer)[:50]
    assert len(examples) == 50
    add_adapter(backbone, "default", LoraSettings(rank=16, alpha=32))
    trained = [parameter for parameter in backbone.model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=2e-2)
    batches = [padded(examples[start::10]) for start in range(10)]

    def mean_loss():
        with torch.no_grad():
            return sum(completion_loss(backbone, *batch).item() for batch in batches) / len(batches)

    before = mean_loss()
    for step in range(30):
        optimizer.zero_grad()
        completion_loss(backbone, *batches[step % 10]).backward()
        optimizer.step()
    after = mean_loss()
    print(f"{operation}: {before:.2f} -> {after:.2f}")
    assert after <= 0.5 * before


def padded(examples):
    """Ids and labels (N, T), padded on the right."""
    width = max(len(e.prompt_ids + e.completion_ids) for e in examples)
    ids = torch.zeros(len(examples), width, dtype=torch.long)
    labels = torch.full_like(ids, -100)
    for row, example in enumerate(examples):
        whole = example.prompt_ids + example.completion_ids
        ids[row, : len(whole)] = torch.tensor(whole)
        labels[row, len(example.prompt_ids) : len(whole)] = torch.tensor(example.completion_ids)
    return ids, labels


def completion_loss(backbone, ids, labels):
    return backbone.model(input_ids=ids, labels=labels).loss
