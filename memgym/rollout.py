"""Policy x vector environment -> trajectories. The same code serves evaluation and training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from memgym.envs.spaces import Observation
from memgym.envs.vector import MemoryVectorEnv, StepResult
from memgym.memory.operations import Operation
from memgym.tasks.episode import Episode


@dataclass(frozen=True, slots=True)
class Decision:
    """What a policy did at one step of one episode."""

    operations: tuple[Operation, ...]
    text: str = ""  # raw model text; "" for rule policies
    prompt_ids: tuple[int, ...] = ()  # tokens the model read, in the order it read them
    completion_ids: tuple[int, ...] = ()  # tokens it sampled, end token included if it was sampled
    truncated: bool = False  # the token limit cut it off


class Policy(Protocol):
    """Acts on a batch of observations, one per running episode."""

    @property
    def name(self) -> str:
        """Name written to records."""
        ...

    @property
    def env_overrides(self) -> Mapping[str, Any]:
        """Environment settings the policy is defined by, such as no budget; usually none."""
        ...

    def act(self, observations: Sequence[Observation], episodes: Sequence[int]) -> list[Decision]:
        """One decision per observation, in order.

        Args:
            observations: One per running episode.
            episodes: The index in the task of each observation's episode, for policies that draw random numbers per
                episode. It says nothing about the episode's content.
        """
        ...


@dataclass(slots=True)
class TrajectoryStep:
    """One step of a trajectory."""

    chunk: int  # index of the chunk that was read
    decision: Decision
    operations: list[dict[str, Any]]  # what each operation did
    terms: dict[str, float]  # unweighted step terms
    own_reward: float  # weighted step terms
    reward: float  # what the environment paid: own_reward / number of chunks; at the last step also the episode terms
    tokens: dict[str, int]  # used after the step, per store and in total


@dataclass(slots=True)
class Trajectory:
    """Everything one policy did in one episode."""

    episode: int  # index in the task
    episode_id: str
    policy: str
    steps: list[TrajectoryStep] = field(default_factory=list)
    exam: dict[str, Any] = field(default_factory=dict)  # score and graded answers
    terms: dict[str, float] = field(default_factory=dict)  # unweighted episode terms
    episode_reward: float = 0.0  # weighted episode terms
    stream_tokens: int = 0  # of all chunks, in the unit of the budget

    @property
    def score(self) -> float:
        """Mean score of the exam, in [0, 1]."""
        return self.exam["score"]

    @property
    def memory_tokens(self) -> int:
        """Size of the final memory, in the unit of the budget."""
        return self.steps[-1].tokens["total"]

    @property
    def reward(self) -> float:
        """Sum of the step rewards: the return of the episode, which is mean step terms plus episode terms."""
        return sum(step.reward for step in self.steps)

    def turn_reward(self, step: int) -> float:
        """What one turn is trained on: its own step terms plus the trajectory's episode terms.

        r_{i,t} = r1_i + r2_{i,t} + beta r3_i + gamma r4_{i,t} for the Mem-alpha recipe (arXiv 2509.25911, Eq. 5).
        """
        return self.episode_reward + self.steps[step].own_reward


def rollout(
    env: MemoryVectorEnv,
    policy: Policy,
    episodes: Sequence[int],
    *,
    on_episode: Callable[[Trajectory], None] | None = None,
    on_chunks: Callable[[int], object] | None = None,
) -> list[Trajectory]:
    """Run ``policy`` through the task's episodes, as many at a time as ``env`` holds.

    Args:
        env: Its autoreset mode plays no part: episodes are started one group after the other.
        policy: Acts on all running episodes of a group at once.
        episodes: Indices in the task; an index may repeat (a group of rollouts of one episode).
        on_episode: Called with each finished trajectory, for progress bars and records.
        on_chunks: Called with the number of chunks that have been left behind since the last call, for progress bars:
            episodes that run together finish together, perhaps after an hour.

    Returns:
        One trajectory per index, in order.
    """
    trajectories: list[Trajectory] = []
    for start in range(0, len(episodes), env.num_envs):
        for trajectory in _run_group(env, policy, episodes[start : start + env.num_envs], on_chunks):
            trajectories.append(trajectory)
            if on_episode is not None:
                on_episode(trajectory)
    return trajectories


def _run_group(
    env: MemoryVectorEnv, policy: Policy, episodes: Sequence[int], on_chunks: Callable[[int], object] | None
) -> Iterator[Trajectory]:
    """Run up to ``num_envs`` episodes in lockstep; yields them in order once all are finished."""
    started = [env.task.episode(index) for index in episodes]
    for single, episode in zip(env.envs, started, strict=False):
        single.begin(episode)
    trajectories = [
        Trajectory(index, episode.id, policy.name, stream_tokens=_stream_tokens(env, episode))
        for index, episode in zip(episodes, started, strict=True)
    ]
    running = list(range(len(episodes)))
    behind = [0] * len(episodes)
    while running:
        observations = [env.envs[number].observation() for number in running]
        chunks = {n: int(o["progress"][0]) for n, o in zip(running, observations, strict=True)}
        _announce(behind, chunks, on_chunks)
        acted = policy.act(observations, [episodes[n] for n in running])
        if len(acted) != len(running):
            raise ValueError(f"policy {policy.name!r} gave {len(acted)} decisions for {len(running)} observations")
        decisions = dict(zip(running, acted, strict=True))
        results = env.advance({number: env.action_of(decision) for number, decision in decisions.items()})
        for number, result in results.items():
            _record(trajectories[number], chunks[number], decisions[number], result, env)
        running = [number for number in running if not results[number].finished]
        _announce(behind, {n: len(started[n].chunks) for n, one in results.items() if one.finished}, on_chunks)
    yield from trajectories


def _announce(behind: list[int], reached: Mapping[int, int], on_chunks: Callable[[int], object] | None) -> None:
    """Say how many chunks are newly behind, and note them."""
    count = sum(chunk - behind[number] for number, chunk in reached.items())
    for number, chunk in reached.items():
        behind[number] = chunk
    if count and on_chunks is not None:
        on_chunks(count)


def _record(trajectory: Trajectory, chunk: int, decision: Decision, result: StepResult, env: MemoryVectorEnv) -> None:
    recipe = env.envs[0].recipe
    terms = result.info["reward_terms"]
    step_terms = {name: value for name, value in terms.items() if name in recipe.step_terms}
    own, tokens = recipe.total(step_terms), result.info["tokens"]
    trajectory.steps.append(
        TrajectoryStep(chunk, decision, result.info["operations"], step_terms, own, result.reward, tokens)
    )
    if result.finished:
        trajectory.exam = result.info["exam"]
        trajectory.terms = {name: value for name, value in terms.items() if name in recipe.episode_terms}
        trajectory.episode_reward = recipe.total(trajectory.terms)


def _stream_tokens(env: MemoryVectorEnv, episode: Episode) -> int:
    count = env.envs[0].config.count_tokens
    return sum(count(chunk.text) for chunk in episode.chunks)
