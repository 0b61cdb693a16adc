"""From a teacher's log to an agent that acts: distil, train three adapters, select, answer."""

import json
import re
from pathlib import Path

import pytest

from agents.answerer import AnswerAgent
from agents.backbone import load_backbone
from agents.facts import read_facts
from agents.memlora import OPERATIONS, MemLoRA, adapter_name, load_adapters
from memgym.records import Manifest
from memgym.rollout import rollout
from train import distill, grpo, ppo, select_adapters, sft
from train.callbacks import read_metrics
from train.distilled import read_samples, samples_path, write_samples
from train.settings import EnvSettings, load_settings
from train.setup import build_env

CONFIGS = Path(sft.__file__).parent / "configs"
ENV = {"chunking": "turns:2", "retrieve": 2}
STEPS = ["--max_steps", 6, "--batch_size", 4, "--learning_rate", "3e-2", "--lora.rank", 4, "--lora.alpha", 8]
TINY = ["--backbone.name", "tiny-llama"]


def words(*values):
    return [str(value) for value in values]


def write_harbour(path):
    """Three invented conversations in LoCoMo's schema: what lies where, moves, and is noted by the annotators."""

    def conversation(number):
        boats = [f"{name} {number}" for name in ("Alma", "Birk", "Cleo")]
        talk, noted, asked = {"speaker_a": "Ulla", "speaker_b": "Per"}, {}, []
        for n, pier in enumerate(("north", "south"), start=1):
            talk[f"session_{n}_date_time"] = f"9:00 am on {n} March, 2023"
            talk[f"session_{n}"] = [
                turn
                for k, boat in enumerate(boats)
                for turn in (
                    {"speaker": "Ulla", "dia_id": f"D{n}:{2 * k + 1}", "text": f"I moored {boat} at the {pier} pier."},
                    {"speaker": "Per", "dia_id": f"D{n}:{2 * k + 2}", "text": "I see."},
                )
            ]
            noted[f"session_{n}_observation"] = {
                "Ulla": [
                    [f"Ulla moored {boat} at the {pier} pier.", f"D{n}:{2 * k + 1}"] for k, boat in enumerate(boats)
                ]
            }
        for k, boat in enumerate(boats):
            evidence = [f"D2:{2 * k + 1}"]
            question = f"Where did Ulla moor {boat} last?"
            asked.append({"question": question, "answer": "south pier", "evidence": evidence, "category": 4})
        return {"sample_id": f"conv-{number}", "conversation": talk, "qa": asked, "observation": noted}

    path.write_text(json.dumps([conversation(number) for number in (26, 30, 41)]), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def locomo(tmp_path_factory):
    return write_harbour(tmp_path_factory.mktemp("data") / "locomo10.json")


def env_words(locomo, split):
    return words(
        "--env.id", "memgym/LoCoMo-v0", "--env.kwargs", json.dumps({**ENV, "path": str(locomo), "split": split})
    )


@pytest.fixture(scope="module")
def distilled(locomo, tmp_path_factory):
    """Folder of the annotators' samples of conv-26."""
    folder = tmp_path_factory.mktemp("runs") / "distill"
    distill.main([*env_words(locomo, "train"), *words("--teacher", "annotations", "--output_dir", folder)])
    return folder


def sft_words(distilled, operation, output, *more):
    return words(*TINY, *STEPS, "--examples", samples_path(distilled, operation), "--output_dir", output, *more)


@pytest.fixture(scope="module")
def trained(distilled, tmp_path_factory):
    """Folder of three runs, one per operation."""
    folder = tmp_path_factory.mktemp("trained")
    for operation in OPERATIONS:
        sft.main(sft_words(distilled, operation, folder / operation))
    return folder


@pytest.fixture(scope="module")
def selected(locomo, trained, tmp_path_factory):
    """Folder of the chosen adapters."""
    folder = tmp_path_factory.mktemp("selected") / "memlora"
    named = words(*[word for op in OPERATIONS for word in (f"--{op}", f"[{trained / op / 'adapter'}]")])
    limits = words("--max_new_tokens", 6, "--teacher", "annotations", "--calls", 4, "--output_dir", folder)
    select_adapters.main([*words(*TINY), *env_words(locomo, "validation"), *named, *limits])
    return folder


# --- The path --------------------------------------------------------------------------------------------------------


def test_the_teachers_samples_are_of_the_training_conversation(distilled):
    samples = {operation: read_samples(samples_path(distilled, operation)) for operation in OPERATIONS}
    assert {sample.conversation for group in samples.values() for sample in group} == {"conv-26"}
    assert [len(samples[operation]) for operation in OPERATIONS] == [6, 5, 3]
    assert read_facts(samples["extract"][0].completion) == ["Ulla moored Alma 26 at the north pier."]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_what_the_trainer_trains_decodes_to_the_completions_and_the_rest_to_the_prompts(distilled, tmp_path, operation):
    settings = load_settings(sft.SFTSettings, sft_words(distilled, operation, tmp_path / "run"), "")
    backbone, trainer = sft.set_up(settings)
    tokenizer = backbone.tokenizer
    expected = {
        (sample.user, sample.completion + tokenizer.eos_token)
        for sample in read_samples(samples_path(distilled, operation))
    }
    seen = set()
    for batch in trainer.get_train_dataloader():
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            answer = tokenizer.decode(ids[labels != -100])
            assert answer == tokenizer.decode(labels[labels != -100])
            prompt = tokenizer.decode(ids[labels == -100])
            asked = re.search(r"<\|im_start\|>user\n(.*)<\|im_end\|>\n<\|im_start\|>assistant\n", prompt, re.DOTALL)
            seen.add((asked[1], answer))
    assert seen == expected


def test_each_adapter_learns_its_samples_and_says_what_it_is(trained, distilled):
    roles = {"extract": "extract", "update": "update", "answer": "answerer"}
    for operation in OPERATIONS:
        losses = [row["loss"] for row in read_metrics(trained / operation / "metrics.jsonl") if "loss" in row]
        assert len(losses) == 6
        assert min(losses[-2:]) < 0.8 * losses[0]
        for folder in ("adapter", "checkpoint-6"):
            record = json.loads((trained / operation / folder / "memgym_agent.json").read_text())
            assert record["role"] == roles[operation]
            assert record["env"]["retrieve"] == Manifest.read(distilled).config["retrieve"] == ENV["retrieve"]
            assert ("shown" in record["env"]) == (operation != "answer")
            assert not {"retrieval", "encoder"} & set(record["env"])  # not set, so whoever uses it is free to
        manifest = Manifest.read(trained / operation)
        assert (manifest.agent, manifest.env, manifest.extra["teacher"]) == (
            roles[operation],
            "memgym/LoCoMo-v0",
            "annotations",
        )
        assert manifest.data == Manifest.read(distilled).data
        assert manifest.extra["settings"]["examples"] == str(samples_path(distilled, operation))


def test_the_selection_scores_the_pipeline_and_each_adapter_on_the_validation_conversation(selected):
    rows = json.loads((selected / "selection.json").read_text())
    assert [row["operation"] for row in rows] == list(OPERATIONS)
    assert all(row["chosen"] and row["quality"] for row in rows)


def test_the_agent_of_the_chosen_adapters_sits_the_exam_of_a_test_conversation(selected, locomo):
    backbone = load_backbone("tiny-llama", device="cpu")
    assert load_adapters(backbone, selected) == OPERATIONS
    policy = MemLoRA(backbone, max_new_tokens=6)
    reader = AnswerAgent(backbone, adapter_name("answer"), max_new_tokens=6)
    changes = {"path": str(locomo), "split": "test", **ENV, **policy.env_overrides, "reader": reader}
    env = build_env(EnvSettings("memgym/LoCoMo-v0", changes), 1)
    (trajectory,) = rollout(env, policy, [0])
    assert trajectory.episode_id == "conv-41"
    assert [answer["question_id"] for answer in trajectory.exam["answers"]] == [
        question.id for question in env.task.episode(0).questions
    ]
    read = [step for step in trajectory.steps if step.decision.prompt_ids]
    assert [step.chunk for step in read] == [0, 1, 2, 3, 4, 5]


def test_an_interrupted_run_goes_on(distilled, trained, tmp_path, run_until_power_cut, adapter_weights):
    argv = sft_words(distilled, "update", tmp_path / "run", "--save_every", 2)
    run_until_power_cut(sft, argv, after=3)
    sft.main([*argv, "--resume", "true"])
    resumed, whole = adapter_weights(tmp_path / "run" / "adapter"), adapter_weights(trained / "update" / "adapter")
    assert all((resumed[name] == whole[name]).all() for name in whole)


# --- What does not go together ---------------------------------------------------------------------------------------


@pytest.fixture
def other_file(distilled, tmp_path):
    """Makes a file with a manifest beside it."""
    (tmp_path / "manifest.yaml").write_bytes((distilled / "manifest.yaml").read_bytes())

    def make(text):
        path = tmp_path / "samples.jsonl"
        path.write_text(text, encoding="utf-8")
        return path

    return make


def refused(argv, message):
    with pytest.raises(SystemExit, match=f"^error: {message}") as raised:
        sft.main(words(*argv))
    assert "\n" not in str(raised.value.code)


def test_files_of_something_else_end_the_program_with_one_line(distilled, other_file, tmp_path):
    run = [*TINY, "--output_dir", tmp_path / "run", "--examples"]
    refused([*run, tmp_path / "nowhere.jsonl"], ".*nowhere.jsonl: no such file; expected samples written by train.dist")
    refused([*run, other_file("")], ".*samples.jsonl: samples of no operation: expected one")
    refused([*run, other_file('{"episode": 0}\n')], ".*samples.jsonl, line 1: not a sample of train.distill")
    other_split = samples_path(distilled, "extract").read_text().replace('"split": "train"', '"split": "validation"')
    refused([*run, other_file(other_split)], ".*: conversation 'conv-26' is of the validation split; only training con")
    mixed = [path.read_text() for path in (samples_path(distilled, "extract"), samples_path(distilled, "answer"))]
    refused([*run, other_file("".join(mixed))], ".*: samples of answer and extract: expected one, as train.distill")
    assert not (tmp_path / "run").exists()


def test_samples_without_the_manifest_of_their_distillation_are_refused(distilled, tmp_path):
    path = tmp_path / "moved" / "extract.jsonl"
    write_samples(path, read_samples(samples_path(distilled, "extract")))
    refused([*TINY, "--output_dir", tmp_path / "run", "--examples", path], ".*manifest.yaml: no such file")


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        (["--role", "answerer", "--teacher", "oracle"], "role"),
        (["--teacher", "oracle"], "teacher"),
        (["--env.kwargs.budget", 60], "env"),
        (["--agent.style", "full"], "agent"),
        (["--episodes", 8], "episodes"),
    ],
)
def test_settings_that_samples_have_decided_are_refused(distilled, tmp_path, argv, name):
    message = f"examples='.*' says what is trained and on what: leave {name} out"
    refused(sft_words(distilled, "extract", tmp_path / "run", *argv), message)


def test_an_adapter_goes_on_with_its_own_operation_only(trained, distilled, tmp_path):
    own = ["--backbone.adapter", trained / "extract" / "adapter"]
    refused(sft_words(distilled, "update", tmp_path / "run", *own), "the adapter was trained as extract, not as update")
    sft.main(sft_words(distilled, "extract", tmp_path / "run", *own))
    first, again = (
        next(row["loss"] for row in read_metrics(folder / "metrics.jsonl"))
        for folder in (trained / "extract", tmp_path / "run")
    )
    assert again < 0.8 * first


@pytest.mark.parametrize("trainer", [grpo, ppo])
def test_adapters_without_a_policy_of_their_own_are_refused_in_one_line(trainer, trained, tmp_path):
    """The prompts of a Memory Manager are others: it would start from nonsense. An update is many small decisions."""
    argv = words(*TINY, "--output_dir", tmp_path / "run", "--backbone.adapter")
    extract, update = (trained / operation / "adapter" for operation in ("extract", "update"))
    with pytest.raises(SystemExit, match=r"^error: the adapter was trained as update, not as manager"):
        trainer.main([*argv, str(update)])
    with pytest.raises(SystemExit, match=r"^error: agent\.update is not set: MemLoRA, whose extraction is trained"):
        trainer.main([*argv, str(extract)])
    with pytest.raises(SystemExit, match=r"^error: agent\.style='full' is a Memory Manager's"):
        trainer.main([*argv, *words(extract, "--agent.update", update, "--agent.style", "full")])
    with pytest.raises(SystemExit, match=r"^error: agent\.update='x' is MemLoRA's"):
        trainer.main(words(*TINY, "--output_dir", tmp_path / "run", "--agent.update", "x"))


@pytest.mark.parametrize(
    ("trainer", "shape"),
    [
        (grpo, ["--group_size", 2, "--turns_per_trajectory", 2, "--micro_batch_size", 4]),
        (ppo, ["--minibatches", 1, "--epochs", 1]),
    ],
)
def test_memlora_is_trained_on_from_the_extraction_adapter(trainer, shape, trained, locomo, tmp_path, adapter_weights):
    start = ["--backbone.adapter", trained / "extract" / "adapter", "--agent.update", trained / "update" / "adapter"]
    steps = ["--max_steps", 1, "--episodes_per_step", 2, "--eval_episodes", 1, "--learning_rate", "1e-2"]
    argv = words(*TINY, *start, "--agent.max_new_tokens", 12, "--eval_env", "{split: validation}", *steps, *shape)
    trainer.main([*argv, *env_words(locomo, "train"), *words("--output_dir", tmp_path / "run")])
    record = json.loads((tmp_path / "run" / "adapter" / "memgym_agent.json").read_text())
    assert (record["role"], record["style"], record["env"]["max_steps_per_chunk"]) == ("extract", "terse", 3)
    before, after = (adapter_weights(folder / "adapter") for folder in (trained / "extract", tmp_path / "run"))
    assert before.keys() == after.keys()
    rows = [row for row in read_metrics(tmp_path / "run" / "metrics.jsonl") if "score" in row]
    assert rows[0]["generated_tokens"] > 0


def test_an_answer_agent_is_trained_on_from_the_answer_adapter(trained, locomo, tmp_path):
    kwargs = {"split": "train", "source_kwargs": {"path": str(locomo)}, "memories": 4, "reward": "f1"}
    env = [
        "--env.id",
        "memgym/MemoryR1Answer-v0",
        "--env.kwargs",
        json.dumps(kwargs),
        "--eval_env",
        "{split: validation}",
    ]
    steps = ["--max_steps", 1, "--episodes_per_step", 2, "--minibatches", 1, "--epochs", 1, "--eval_episodes", 1]
    start = ["--backbone.adapter", trained / "answer" / "adapter", "--agent.max_new_tokens", 6]
    ppo.main(words(*TINY, *env, *steps, *start, "--output_dir", tmp_path / "run"))
    record = json.loads((tmp_path / "run" / "adapter" / "memgym_agent.json").read_text())
    assert (record["role"], record["distil"]) == ("answerer", False)


# --- The configurations ----------------------------------------------------------------------------------------------


def test_the_configurations_hand_their_files_on_to_each_other():
    made = load_settings(distill.DistillSettings, words("--config", CONFIGS / "memlora_distill.yaml"), "")
    chosen = load_settings(select_adapters.SelectionSettings, words("--config", CONFIGS / "memlora_select.yaml"), "")
    for operation in OPERATIONS:
        settings = load_settings(sft.SFTSettings, words("--config", CONFIGS / f"memlora_{operation}.yaml"), "")
        assert settings.examples == str(samples_path(made.output_dir, operation))
        assert getattr(chosen, operation) == [f"{settings.output_dir}/adapter"]
        assert settings.backbone.name == chosen.backbone.name == "smollm2"
    assert {**made.env.kwargs, "split": "validation"} == chosen.env.kwargs
    assert made.env.kwargs["split"] == "train"
