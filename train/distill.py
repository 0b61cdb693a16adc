"""Let a teacher manage the memory of training conversations, and write down what MemLoRA's adapters learn from it.

    python -m train.distill --teacher oracle --output_dir runs/distill
    python -m train.distill --teacher annotations --env.id memgym/LoCoMo-v0 \
        --env.kwargs '{split: train, chunking: "turns:4", retrieve: 8}'
    python -m train.distill --teacher model --model Qwen/Qwen2.5-7B-Instruct
    python -m train.distill --teacher endpoint --url http://localhost:8000/v1 --model NAME

The teacher goes through the whole pipeline: it extracts the facts of every chunk, is shown what the memory holds of
each, updates it, and answers the exam. Every call is cleaned (``train.cleaning``) and kept in ``extract.jsonl``,
``update.jsonl`` or ``answer.jsonl``; ``manifest.yaml`` says how many were left out and why. Each file trains one
adapter. The calls themselves, with the replies as they came, are written to ``calls.jsonl`` one by one: a run that
stops goes on with ``--resume true`` and asks for nothing twice. Teachers:

* oracle: needs no model. Facts are what the stream is known to hold, updates follow by rule, answers are the gold ones.
* annotations: LoCoMo's own statements about its turns; updates by rule, gold answers.
* model: any backbone by name, a hub id or a folder, with prompts for models that follow instructions.
* endpoint: any OpenAI-compatible server.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, field

from tqdm import tqdm

from agents.fact_pipeline import FactPipeline
from agents.memlora import OPERATIONS
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import Reader
from memgym.protocol import describe_env
from memgym.records import MANIFEST, Manifest, plain
from memgym.tasks.task import Task
from train.calls import CallLog, RecordedReader
from train.cleaning import Cleaner
from train.distilled import Sample, check_training_split, samples_path, write_samples
from train.settings import EnvSettings, load_settings
from train.setup import build_env, window_for
from train.teacher_log import GoldReader, TeacherLog
from train.teachers import RULE_TEACHERS, rule_teacher

TEACHERS = (*RULE_TEACHERS, "model", "endpoint")


@dataclass
class DistillSettings:
    """Settings of a distillation run."""

    output_dir: str = "runs/distill"
    seed: int = 0
    env: EnvSettings = field(default_factory=EnvSettings)
    teacher: str = "oracle"
    """oracle, annotations, model or endpoint."""
    model: str = ""
    """Of teacher "model": a backbone by name, a hub id or a folder. Of "endpoint": the model's name there."""
    url: str = ""
    """Of the endpoint, up to the version: http://localhost:8000/v1."""
    key_variable: str = "OPENAI_API_KEY"
    """Environment variable that holds the endpoint's key."""
    max_new_tokens: int = 256
    """Longest reply of a model or an endpoint."""
    episodes: int = 64
    """Training episodes the teacher is run on; of a finite task all there are, if fewer."""
    first_episode: int = 0
    """Index of the first of them in the task."""
    num_envs: int = 16
    """Episodes run together."""
    similar: int = 5
    """Notes looked up per fact."""
    max_tokens: int = 1500
    """Longest prompt and completion together, in lexical tokens."""
    max_completion: int = 200
    """Longest completion, in lexical tokens."""
    none_share: float = 0.3
    """Most NONE among the update samples."""
    resume: bool = False
    """Go on with the calls in ``output_dir``, of the same teacher in the same environment; all are cleaned anew."""


DECIDING = ("env", "teacher", "model", "max_new_tokens", "similar")  # the replies; a resumed run may change the others


def main(argv: list[str] | None = None) -> None:
    """Distil as the command line says."""
    settings = load_settings(DistillSettings, sys.argv[1:] if argv is None else argv, __doc__ or "")
    try:
        counts = distill(settings)
    except (ValueError, OSError) as error:
        raise SystemExit(f"error: {error}") from error
    for operation, reasons in counts.items():
        print(f"{operation}: " + ", ".join(f"{number} {reason}" for reason, number in reasons.items()))


def distill(settings: DistillSettings) -> dict[str, dict[str, int]]:
    """Run the teacher and write its samples.

    Returns:
        Per operation, how many calls there were, how many are kept and how many were left out or repaired for which
        reason.

    Raises:
        ValueError: The settings do not fit, an episode is not of the training split, or the folder holds the calls of
            another run.
        OSError: A model cannot be found, or an endpoint does not answer.
    """
    if settings.num_envs < 1:
        raise ValueError(f"num_envs={settings.num_envs}: expected at least 1")
    cleaner = Cleaner(settings.max_tokens, settings.max_completion, settings.none_share)
    task = build_env(settings.env, 1).task
    episodes = training_episodes(settings, task)
    teacher, reader = make_teacher(settings, task)
    calls = call_log(settings, teacher)
    reader = reader if isinstance(reader, GoldReader) else RecordedReader(reader, calls)
    env = build_env(settings.env, min(settings.num_envs, len(episodes)), {**teacher.env_overrides, "reader": reader})
    log = TeacherLog(env, teacher, cleaner, calls)
    with tqdm(total=len(episodes), desc=teacher.name, unit="episode") as bar:
        for start in range(0, len(episodes), env.num_envs):
            log.run(episodes[start : start + env.num_envs])
            bar.update(min(env.num_envs, len(episodes) - start))
    counts = {operation: _keep(settings, log, operation) for operation in OPERATIONS}
    _manifest(settings, env, teacher, counts).write(f"{settings.output_dir}/{MANIFEST}")
    return counts


def training_episodes(settings: DistillSettings, task: Task) -> range:
    """Indices of the episodes to distil.

    Raises:
        ValueError: There are none, or one of them is not of the training split.
    """
    last = settings.first_episode + settings.episodes
    episodes = range(settings.first_episode, last if task.size is None else min(last, task.size))
    if not episodes:
        raise ValueError(f"no episode from number {settings.first_episode}: change episodes or first_episode")
    for index in episodes:
        episode = task.episode(index)
        check_training_split(episode.id, episode.split, f"task {task.name}")
    return episodes


def make_teacher(settings: DistillSettings, task: Task) -> tuple[FactPipeline, Reader]:
    """The teacher and who sits the exam for it.

    Raises:
        ValueError: There is no such teacher, or something it needs is not set.
        OSError: Its model or its data cannot be found.
    """
    if settings.teacher in RULE_TEACHERS:
        path = settings.env.kwargs.get("path")
        return rule_teacher(settings.teacher, task, similar=settings.similar, path=path), GoldReader()
    if settings.teacher not in TEACHERS:
        raise ValueError(f"teacher {settings.teacher!r}: expected one of {', '.join(TEACHERS)}")
    if not settings.model:
        raise ValueError(f"teacher {settings.teacher!r} needs --model: a name, a hub id or a folder")
    return _model_teacher(settings) if settings.teacher == "model" else _endpoint_teacher(settings)


def _model_teacher(settings: DistillSettings) -> tuple[FactPipeline, Reader]:
    from agents.answerer import AnswerAgent
    from agents.backbone import load_backbone
    from agents.memlora import MemLoRA

    backbone = load_backbone(settings.model)
    options = {"similar": settings.similar, "max_new_tokens": settings.max_new_tokens}
    teacher = MemLoRA(backbone, extract=None, update=None, style="full", name=f"model:{settings.model}", **options)
    return teacher, AnswerAgent(backbone, window=window_for(settings.env.kwargs))


def _endpoint_teacher(settings: DistillSettings) -> tuple[FactPipeline, Reader]:
    from train.endpoint import ChatEndpoint, EndpointReader, EndpointTeacher

    endpoint = ChatEndpoint(
        settings.url, settings.model, key_variable=settings.key_variable, max_new_tokens=settings.max_new_tokens
    )
    return EndpointTeacher(endpoint, similar=settings.similar), EndpointReader(endpoint)


def call_log(settings: DistillSettings, teacher: FactPipeline) -> CallLog:
    """The log of the run; an endpoint is asked for one reply after the other, the others for as many as run together.

    Raises:
        ValueError: See ``CallLog``.
    """
    deciding = {name: value for name, value in asdict(settings).items() if name in DECIDING}
    together = 1 if settings.teacher == "endpoint" else settings.num_envs
    return CallLog(settings.output_dir, teacher.name, deciding, resume=settings.resume, together=together)


def _keep(settings: DistillSettings, log: TeacherLog, operation: str) -> dict[str, int]:
    """Write the samples of one operation without repeats and surplus NONE; what became of its calls."""
    distinct: dict[tuple[str, str, str], Sample] = {}
    for sample in log.samples[operation]:
        distinct.setdefault((sample.system, sample.user, sample.completion), sample)
    kept = list(distinct.values())
    log.cleaner.count(operation, "duplicate", len(log.samples[operation]) - len(kept))
    if operation == "update":
        kept = [kept[row] for row in log.cleaner.cap_none([sample.completion for sample in kept], settings.seed)]
    write_samples(samples_path(settings.output_dir, operation), kept)
    counts = dict(log.cleaner.counts.get(operation, {}))
    return {"calls": counts.pop("calls", 0), "kept": len(kept), **counts}


def _manifest(
    settings: DistillSettings, env: MemoryVectorEnv, teacher: FactPipeline, counts: dict[str, dict[str, int]]
) -> Manifest:
    return Manifest(
        command="python -m train.distill " + " ".join(sys.argv[1:]),
        env=settings.env.id,
        env_kwargs=plain(settings.env.kwargs),
        agent=teacher.name,
        seed=settings.seed,
        **describe_env(env),
        extra={"settings": plain(asdict(settings)), "counts": counts},
    )


if __name__ == "__main__":
    main()
