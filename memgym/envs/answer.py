"""The answer environment: a question and the memories retrieved for it in, a reply out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import gymnasium
import numpy as np

from memgym.answer_rewards import AnswerOutcome, AnswerReward, get_answer_reward
from memgym.envs.episodic import EpisodicEnv, check_render_mode
from memgym.envs.spaces import Observation, Unicode, answer_observation_space
from memgym.exam.exam import ExamResult, GradedAnswer
from memgym.exam.metrics import score
from memgym.exam.reply import Reply, quotable, read_reply
from memgym.exam.retrieval_metrics import evidence_recall
from memgym.memory.budget import UNLIMITED, Budget, TokenCounter, count_lexical_tokens
from memgym.memory.operations import STORES
from memgym.tasks.episode import Episode, PreparedMemory
from memgym.tasks.speakers import Speakers
from memgym.tasks.task import Task

if TYPE_CHECKING:
    from memgym.rollout import Decision


@dataclass(frozen=True, slots=True)
class AnswerConfig:
    """Settings of an answer environment; the keyword arguments of ``gymnasium.make``."""

    reward: str | Mapping[str, float] | AnswerReward = "em"
    """"em", "f1", "em_else_f1", or the weights of terms (``memgym.answer_rewards``)."""
    count_tokens: TokenCounter = field(default=count_lexical_tokens)
    """Unit in which memories and stream are measured."""

    def make_budget(self) -> Budget:
        """No limit: the memory is given."""
        return UNLIMITED

    def in_effect(self) -> dict[str, Any]:
        """Every setting as it takes effect, for records."""
        return {"reward": self.reward, "count_tokens": self.count_tokens}


@dataclass(frozen=True, slots=True)
class ShownMemory:
    """A memory as an observation shows it."""

    id: int
    speaker: str
    memory: PreparedMemory


@dataclass(frozen=True, slots=True)
class AnswerPaper:
    """What one episode hands in."""

    episode: Episode
    shown: tuple[int, ...]  # ids of the memories, in the order shown
    reply: Reply


@dataclass(frozen=True, slots=True)
class ThePolicy:
    """Who answers here."""

    name: str = "the policy itself"


class AnswerExam:
    """Grades the answers that a policy gave; nobody else is asked."""

    reader: ClassVar[ThePolicy] = ThePolicy()

    def grade(self, papers: Sequence[AnswerPaper]) -> list[ExamResult]:
        """One result of one answer per paper, in order."""
        return [ExamResult((_grade(paper),)) for paper in papers]


@dataclass(frozen=True, slots=True)
class AnswerReport:
    """What the one step of an episode did."""

    reply: Reply
    finished: bool = True


class AnswerEnv(EpisodicEnv[str]):
    """Answer a question from the memories retrieved for it.

    ## Description
    An episode is one question with what was retrieved for it from a memory, of both sides of a dialogue. The one action
    is a text: the memories that the agent finds useful, then its answer. The paper calls this memory distillation
    (arXiv 2508.19828, section 3).

    ## Action Space
    `Unicode`: rows that each name a memory by the words it opens with, then the literal mark `**Answer:**` and the
    answer on the same line (`memgym.exam.reply`). Rows may be left out. Without the mark the answer is empty; that and
    a row that names no memory are mistakes, never errors.

    ## Observation Space
    A `Dict`:

    | field | space | meaning |
    |---|---|---|
    | question | Unicode | the question |
    | asked | Unicode(64) | when it is asked, ISO 8601; "" means after the end of the stream |
    | core | Unicode | the core of the memory, "" when it has none |
    | memories | Sequence(Dict) | id, speaker, text, timestamp; grouped by speaker, best first within a group |
    | progress | Box (2,) int64 | steps taken, and 1 |

    The speaker of a memory is that of the turns it came from (`memgym.tasks.speakers`). Ids number the memories from 1
    in order of time. Answers, categories and evidence are never part of an observation.

    ## Starting State
    The question drawn from the task by the environment's seed, or named with `reset(options={"episode": index})`.

    ## Reward
    The weighted sum of named terms (`memgym.answer_rewards`): `em`, `f1`, `em_else_f1`, `format`, `selected` (number of
    memories named), `selected_recall`. By default exact match alone.

    ## Episode End
    Terminates after its one step. Never truncates.

    ## Information
    `episode_id`; `reward_terms` by name, unweighted; `tokens` of the memories shown, per store and in total;
    `operations`, always empty; after the step `selected`, ids of the memories named, and `exam` with the score and the
    graded answer.

    ## Arguments
    `task`, whose episodes have one question each and the memories in `Episode.memory`, such as
    `memgym.tasks.retrieved_questions.RetrievedQuestions`; and the fields of `AnswerConfig` as keywords.
    """

    config: AnswerConfig
    config_type: ClassVar[type[AnswerConfig]] = AnswerConfig
    recipe: AnswerReward

    def __init__(self, task: Task, *, render_mode: str | None = None, **config: Any) -> None:
        """Create the environment.

        Args:
            task: Where episodes come from.
            render_mode: None or "ansi".
            config: Fields of `AnswerConfig`.
        """
        self.task = task
        self.render_mode = check_render_mode(render_mode)
        self.config = self.config_type(**config)
        self.exam = AnswerExam()
        self.recipe = get_answer_reward(self.config.reward)
        self.observation_space = answer_observation_space()
        self.action_space = Unicode()

    def render(self) -> str | None:
        """Memories and question as text, with ``render_mode="ansi"``."""
        if self.render_mode is None:
            return None
        seen = self.observation()
        lines = [f"#{m['id']} {m['timestamp']} {m['text']}" for m in seen["memories"]]
        return "\n".join([f"core: {seen['core']}", *lines, seen["question"]])

    def close(self) -> None:
        """Forget the episode."""
        self.episode = None

    def begin(self, episode: Episode) -> None:
        """Ask the question of ``episode``.

        Raises:
            ValueError: It has none, or several.
        """
        if len(episode.questions) != 1:
            raise ValueError(
                f"episode {episode.id!r} has {len(episode.questions)} questions: an answer environment needs one each"
            )
        self.episode = episode
        self._core = "\n".join(memory.text for memory in episode.memory if memory.store == "core")
        self._shown = _shown(episode)
        self._reply: Reply | None = None

    def advance(self, action: str) -> AnswerReport:
        """Read the reply.

        Raises:
            TypeError: It is no text.
        """
        self._running_episode()
        if not isinstance(action, str):
            raise TypeError(f"an answer environment takes text (str) as the action, got {type(action).__name__}")
        if self._reply is not None:
            raise gymnasium.error.ResetNeeded("the episode is over: call reset() before step()")
        self._reply = read_reply(action, [quotable(shown.memory.text, shown.speaker) for shown in self._shown])
        return AnswerReport(self._reply)

    def paper(self) -> AnswerPaper:
        """What the finished episode hands in."""
        if self._reply is None:
            raise gymnasium.error.ResetNeeded("the question has not been answered: call step() first")
        return AnswerPaper(self._running_episode(), tuple(shown.id for shown in self._shown), self._reply)

    def conclude(self, report: AnswerReport, exam: ExamResult | None) -> tuple[float, dict[str, Any]]:
        """Reward and info of the step, given the exam's result.

        Raises:
            ValueError: It is not given: every step here ends its episode.
        """
        if exam is None:
            raise ValueError("an answer is graded at once: expected the exam's result")
        named = [self._shown[place] for place in report.reply.selected]
        turns = tuple(turn_id for shown in named for turn_id in shown.memory.turn_ids)
        terms = self.recipe.score(AnswerOutcome(self._running_episode(), report.reply, turns, exam.answers[0]))
        graded = {"score": exam.score, "answers": [answer.to_dict() for answer in exam.answers]}
        info = self._info(terms) | {"selected": [shown.id for shown in named], "exam": graded}
        return self.recipe.total(terms), info

    def observation(self) -> Observation:
        """The question and the memories; new objects each time."""
        (question,) = self._running_episode().questions
        return {
            "question": question.text,
            "asked": question.timestamp,
            "core": self._core,
            "memories": tuple(
                {"id": m.id, "speaker": m.speaker, "text": m.memory.text, "timestamp": m.memory.timestamp}
                for m in self._shown
            ),
            "progress": np.array([self._reply is not None, 1], dtype=np.int64),
        }

    def info(self) -> dict[str, Any]:
        """The info of an episode that has just begun; new objects each time."""
        return self._info({})

    def action_of(self, decision: Decision) -> str:
        """A decision's text."""
        return decision.text

    def _info(self, terms: dict[str, float]) -> dict[str, Any]:
        episode = self._running_episode()
        tokens: dict[str, int] = dict.fromkeys(STORES, 0)
        for memory in episode.memory:
            tokens[memory.store] += self.config.count_tokens(memory.text)
        tokens["total"] = sum(tokens.values())
        return {"episode_id": episode.id, "operations": [], "reward_terms": terms, "tokens": tokens}


def _shown(episode: Episode) -> tuple[ShownMemory, ...]:
    """The memories of an episode by speaker, in each group as they are ranked, numbered in order of time."""
    speakers = Speakers(episode.turns)
    told = {turn.id: place for place, turn in enumerate(episode.turns)}
    entries = [memory for memory in episode.memory if memory.store != "core"]

    def time(place: int) -> tuple[str, int]:
        """Memories of one session share its timestamp: their turns tell them apart."""
        memory = entries[place]
        return memory.timestamp, min((told[id_] for id_ in memory.turn_ids if id_ in told), default=len(told))

    ids = {place: number for number, place in enumerate(sorted(range(len(entries)), key=time), start=1)}
    shown = (ShownMemory(ids[place], speakers.of(memory), memory) for place, memory in enumerate(entries))
    return tuple(sorted(shown, key=lambda one: speakers.names.index(one.speaker)))  # stable: ranks are kept


def _grade(paper: AnswerPaper) -> GradedAnswer:
    (question,) = paper.episode.questions
    sources = [turn_id for memory in paper.episode.memory for turn_id in memory.turn_ids if memory.store != "core"]
    return GradedAnswer(
        question_id=question.id,
        category=question.category,
        question=question.text,
        answers=question.answers,
        prediction=paper.reply.answer,
        metric=question.metric,
        score=score(question.metric, paper.reply.answer, question.answers),
        retrieved=paper.shown,
        evidence_recall=evidence_recall(sources, question.evidence),
        context_tokens=sum(count_lexical_tokens(memory.text) for memory in paper.episode.memory),
    )
