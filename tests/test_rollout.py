"""Rollouts, what a turn is trained on, and replay: the same operations give the same memory and scores."""

from dataclasses import replace

import pytest

from memgym.memory.operations import Operation
from memgym.policies import RandomActions
from memgym.replay import ReplayPolicy, differences, recorded_episode, replay
from memgym.rewards import get_recipe
from memgym.rollout import Decision, Trajectory, TrajectoryStep, rollout
from memgym.tasks.task import EpisodeList
from tests.scripted import FakeReader, Scripted, fact, make_env, make_vector, tea_story

EPISODES = [tea_story("short", days=1), tea_story("middle", days=2), tea_story("long")]
SCRIPT = [
    [fact("Ann bought a red bicycle"), Operation("delete", "semantic", entry_id=99)],
    [Operation("update", "core", "Ann's sister Ines is a baker")],
    [Operation("insert", "episodic", quote=1)],
]


class Noting(Scripted):
    """Notes what it was asked."""

    def act(self, observations, episodes):
        self.asked.append((tuple(episodes), tuple(int(o["progress"][0]) for o in observations)))
        return super().act(observations, episodes)


def test_one_trajectory_per_index_in_order_and_repeats_are_allowed():
    trajectories = rollout(make_vector(*EPISODES, num_envs=2), Scripted(*SCRIPT), [2, 0, 2, 1, 0])
    assert [t.episode_id for t in trajectories] == ["long", "short", "long", "middle", "short"]
    assert [t.episode for t in trajectories] == [2, 0, 2, 1, 0]
    assert [len(t.steps) for t in trajectories] == [3, 1, 3, 2, 1]
    assert differences(trajectories[0], trajectories[2]) == []
    assert {t.policy for t in trajectories} == {"scripted"}


def test_the_policy_sees_the_running_episodes_of_a_group_alone():
    policy = Noting(*SCRIPT)
    policy.asked = []
    rollout(make_vector(*EPISODES, num_envs=2), policy, [0, 2, 1])
    assert policy.asked == [((0, 2), (0, 0)), ((2,), (1,)), ((2,), (2,)), ((1,), (0,)), ((1,), (1,))]


def test_exams_of_a_lockstep_are_held_together():
    reader = FakeReader()
    rollout(make_vector(*EPISODES, num_envs=3, reader=reader), Scripted(*SCRIPT), [2, 2, 2])
    assert [len(batch) for batch in reader.batches] == [6]


def test_finished_trajectories_are_announced_as_they_are_done():
    announced = []
    trajectories = rollout(make_vector(*EPISODES), Scripted(*SCRIPT), [1, 0], on_episode=announced.append)
    assert announced == trajectories


def test_chunks_are_announced_as_they_are_left_behind():
    counts = []
    rollout(make_vector(*EPISODES, num_envs=2), Scripted(*SCRIPT), [0, 2, 1], on_chunks=counts.append)
    assert counts == [1, 1, 1, 1, 1, 1]  # the short episode, the three chunks of the long one, the two of the other


def test_no_episodes_give_no_trajectories():
    assert rollout(make_vector(*EPISODES), Scripted(*SCRIPT), []) == []


@pytest.mark.parametrize("mode", ["NextStep", "SameStep", "Disabled"])
def test_the_autoreset_mode_plays_no_part(mode):
    vector = make_vector(*EPISODES, num_envs=3, autoreset_mode=mode)
    reference = rollout(make_vector(*EPISODES), Scripted(*SCRIPT), [0, 1, 2])
    for _ in range(2):
        assert rollout(vector, Scripted(*SCRIPT), [0, 1, 2]) == reference


def test_a_rollout_is_what_stepping_by_hand_gives():
    (trajectory,) = rollout(make_vector(*EPISODES, budget=40), Scripted(*SCRIPT), [2])
    env = make_env(*EPISODES, budget=40)
    env.reset(options={"episode": 2})
    for step, operations in zip(trajectory.steps, SCRIPT, strict=True):
        _, reward, _, _, info = env.step(operations)
        assert (step.reward, step.operations, step.tokens) == (reward, info["operations"], info["tokens"])
        assert step.decision == Decision(tuple(operations))
    assert trajectory.exam == info["exam"]
    assert trajectory.score == info["exam"]["score"]
    assert trajectory.memory_tokens == info["tokens"]["total"]
    assert trajectory.stream_tokens == sum(env.bank.count_tokens(chunk.text) for chunk in EPISODES[2].chunks)


def test_a_step_that_stays_on_its_chunk_is_a_step_of_the_trajectory():
    script = [[Operation("search", text="bicycle")]] * 3
    (trajectory,) = rollout(make_vector(*EPISODES, max_steps_per_chunk=2), Scripted(*script), [1])
    assert [step.chunk for step in trajectory.steps] == [0, 0, 1, 1]


@pytest.mark.parametrize("recipe", ["memgym", "mem_alpha", "memory_r1"])
def test_turns_are_paid_their_own_terms_plus_the_episode_s(recipe):
    (trajectory,) = rollout(make_vector(*EPISODES, reward=recipe), Scripted(*SCRIPT), [2])
    weights = get_recipe(recipe)
    assert set(trajectory.terms) == set(weights.episode_terms)
    assert trajectory.episode_reward == pytest.approx(weights.total(trajectory.terms))
    for number, step in enumerate(trajectory.steps):
        assert set(step.terms) == set(weights.step_terms)
        expected = weights.total(step.terms) + weights.total(trajectory.terms)
        assert trajectory.turn_reward(number) == pytest.approx(expected)
        assert step.own_reward == weights.total(step.terms)
    own = [weights.total(step.terms) for step in trajectory.steps]
    assert trajectory.reward == pytest.approx(sum(own) / len(own) + trajectory.episode_reward)


def test_turn_reward_by_hand():
    figures = ((-0.12, -0.04), (0.0, 0.0), (-0.06, 0.73))
    steps = [TrajectoryStep(t, Decision(()), [], {}, own, paid, {}) for t, (own, paid) in enumerate(figures)]
    trajectory = Trajectory(0, "e", "p", steps, episode_reward=0.75)
    assert [trajectory.turn_reward(t) for t in range(3)] == pytest.approx([0.63, 0.75, 0.69])
    assert trajectory.reward == pytest.approx(0.69)


@pytest.mark.parametrize("extra", [-1, 1])
def test_a_policy_that_gives_another_number_of_decisions_is_refused(extra):
    class Wrong(Scripted):
        def act(self, observations, episodes):
            return (super().act(observations, episodes) * 2)[: len(observations) + extra]

    with pytest.raises(ValueError, match=f"policy 'scripted' gave {2 + extra} decisions for 2 observations"):
        rollout(make_vector(*EPISODES, num_envs=2), Wrong(*SCRIPT), [2, 2])


# --- the random policy ---


def test_random_actions_depend_on_seed_episode_and_chunk_alone():
    def operations(policy, order):
        done = rollout(make_vector(*EPISODES, num_envs=2), policy, order)
        return {t.episode: [step.decision for step in t.steps] for t in done}

    first = operations(RandomActions(1), [0, 1, 2])
    assert operations(RandomActions(1), [2, 1, 0]) == first
    assert operations(RandomActions(2), [0, 1, 2]) != first
    assert len({decision.operations for decision in first[2]}) > 1, "another chunk is another draw"


# --- replay ---


@pytest.fixture
def recorded() -> list[Trajectory]:
    vector = make_vector(*EPISODES, num_envs=3, budget=60)
    return [*rollout(vector, RandomActions(3), [0, 1, 2]), *rollout(vector, Scripted(*SCRIPT), [2])]


def test_replaying_gives_the_same_trajectories_bit_for_bit(recorded):
    replayed = list(replay(make_vector(*EPISODES, budget=60), recorded))
    assert replayed == recorded
    assert [differences(old, new) for old, new in zip(recorded, replayed, strict=True)] == [[]] * 4


def test_another_budget_shows_as_other_operations(recorded):
    (found,) = [differences(recorded[-1], new) for new in replay(make_vector(*EPISODES, budget=3), recorded[-1:])]
    assert "step 0: operations did something else" in found


def test_another_reward_shows_as_other_rewards(recorded):
    (new,) = replay(make_vector(*EPISODES, budget=60, reward="mem_alpha"), recorded[-1:])
    assert any(line.startswith("step 0: reward") for line in differences(recorded[-1], new))


def test_another_reader_shows_in_the_exam(recorded):
    vector = make_vector(*EPISODES, budget=60, reader=FakeReader(lambda task: "red"))
    found = differences(recorded[-1], next(replay(vector, recorded[-1:])))
    assert f"exam: score {recorded[-1].score} recorded, 0.5 replayed" in found


def test_a_record_that_was_tampered_with_does_not_verify(recorded):
    tampered = replace(recorded[-1], steps=[*recorded[-1].steps])
    tampered.steps[0] = replace(tampered.steps[0], reward=9.0)
    assert differences(tampered, next(replay(make_vector(*EPISODES, budget=60), [tampered]))) == [
        f"step 0: reward 9.0 recorded, {recorded[-1].steps[0].reward} replayed"
    ]


def test_other_episodes_are_no_place_to_replay(recorded):
    others = make_vector(tea_story("x"), tea_story("y"), tea_story("z"), budget=60)
    with pytest.raises(ValueError, match="episode 0 of this environment is 'x', the record is of 'short'"):
        list(replay(others, recorded))


def test_fewer_episodes_are_no_place_to_replay_either(recorded):
    with pytest.raises(ValueError, match=r"task 'scripted' has 1 episodes.*made from other data"):
        recorded_episode(EpisodeList("scripted", EPISODES[:1]), recorded[1])


def test_an_episode_that_became_longer_asks_for_more_than_was_recorded(recorded):
    longer = make_vector(tea_story("short", days=2), budget=60)
    with pytest.raises(ValueError, match="the record ends before the episode does"):
        list(replay(longer, recorded[:1]))


def test_an_episode_that_became_shorter_shows_its_missing_steps(recorded):
    shorter = make_vector(*EPISODES[:2], tea_story("long", days=1), budget=60)
    (new,) = replay(shorter, recorded[-1:])
    assert differences(recorded[-1], new)[0] == "3 steps recorded, 1 replayed"


def test_several_records_are_acted_out_together(recorded):
    together = make_vector(*EPISODES, num_envs=3, budget=60)
    assert rollout(together, ReplayPolicy(*recorded[:3]), [0, 1, 2]) == recorded[:3]


def test_two_records_of_one_episode_are_not_acted_out_together(recorded):
    with pytest.raises(ValueError, match="records of episodes 0, 1, 2, 2: expected one of each"):
        ReplayPolicy(*recorded)


def test_a_replay_policy_acts_out_its_record_once(recorded):
    policy = ReplayPolicy(recorded[-1])
    assert policy.name == "scripted"
    assert [policy.act([{}], [2])[0] for _ in range(3)] == [step.decision for step in recorded[-1].steps]
    with pytest.raises(ValueError, match="the record ends before the episode does"):
        policy.act([{}], [2])
