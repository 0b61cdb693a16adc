"""N episodes in lockstep behave as N scalar environments under Gymnasium's own SyncVectorEnv."""

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from memgym.envs.spaces import unbatch
from memgym.envs.vector import MemoryVectorEnv
from tests.scripted import FakeReader, fact, make_env, make_vector, same, tea_story

EPISODES = [tea_story("short", days=1), tea_story("middle", days=2), tea_story("long")]
MODES = [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED]
SETTINGS = {"budget": 60, "question_visible": True}


def pair(mode: AutoresetMode, num_envs: int = 3) -> tuple[MemoryVectorEnv, SyncVectorEnv]:
    """Ours and Gymnasium's over equal scalar environments."""
    ours = make_vector(*EPISODES, num_envs=num_envs, autoreset_mode=mode, **SETTINGS)
    theirs = SyncVectorEnv([lambda: make_env(*EPISODES, **SETTINGS)] * num_envs, autoreset_mode=mode)
    return ours, theirs


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", [0, 7])
def test_every_autoreset_mode_gives_what_gymnasium_s_vector_environment_gives(mode, seed):
    ours, theirs = pair(mode)
    assert ours.metadata["autoreset_mode"] is mode
    assert same(ours.reset(seed=seed), theirs.reset(seed=seed))
    ours.action_space.seed(seed)
    ended = 0
    for _ in range(25):
        actions = ours.action_space.sample()
        mine, reference = ours.step(actions), theirs.step(actions)
        assert same(mine, reference)
        ended += int(mine[2].sum())
        if mode is AutoresetMode.DISABLED and mine[2].any():
            mask = mine[2]
            assert same(ours.reset(options={"reset_mask": mask}), theirs.reset(options={"reset_mask": mask.copy()}))
    assert ended >= 6, "the comparison must have seen episodes end"


@pytest.mark.parametrize("mode", MODES)
def test_all_ending_together_and_one_environment_alone(mode):
    for num_envs in (1, 4):
        ours, theirs = pair(mode, num_envs)
        options = {"episode": 2}
        assert same(ours.reset(seed=1, options=dict(options)), theirs.reset(seed=1, options=dict(options)))
        for action in ([fact("red bicycle")], [], [fact("Moss")]):
            assert same(ours.step((action,) * num_envs), theirs.step((tuple(action),) * num_envs))


def test_seeds_may_be_given_one_by_one():
    ours, theirs = pair(AutoresetMode.NEXT_STEP)
    assert same(ours.reset(seed=[5, None, 9])[0]["chunk"][0], theirs.reset(seed=[5, None, 9])[0]["chunk"][0])
    assert same(ours.reset(seed=[5, 6, 7]), theirs.reset(seed=5))


def test_each_sub_environment_is_bit_equal_to_a_scalar_one():
    vector = make_vector(*EPISODES, num_envs=3, **SETTINGS)
    scalars = [make_env(*EPISODES, **SETTINGS) for _ in range(3)]
    batch, _ = vector.reset(seed=11)
    singles = [env.reset(seed=11 + index)[0] for index, env in enumerate(scalars)]
    action = [fact("Ann bought a red bicycle"), fact("Ann bought a red bicycle")]
    finished = [False] * 3
    for _ in range(3):
        assert all(same(unbatch(batch, i), singles[i]) for i in range(3) if not finished[i])
        batch, rewards, terminations, _, _ = vector.step([action] * 3)
        for i in (i for i in range(3) if not finished[i]):
            singles[i], reward, finished[i], *_ = scalars[i].step(action)
            assert (rewards[i], terminations[i]) == (reward, finished[i])
            assert same(unbatch(batch, i), singles[i])
    assert all(finished)


def test_next_step_ignores_the_action_of_the_reset():
    vector = make_vector(EPISODES[0], EPISODES[2], num_envs=2)
    vector.reset(options={"episodes": [0, 1]})
    vector.step([[], []])
    batch, rewards, terminations, _, infos = vector.step([[fact("ignored")], [fact("tea")]])
    assert (rewards[0], terminations[0]) == (0.0, False)
    assert [len(done) for done in infos["operations"]] == [0, 1]
    assert [len(entries) for entries in batch["entries"]] == [0, 1]


def test_next_step_does_not_even_need_the_action_of_the_reset():
    vector = make_vector(EPISODES[0])
    vector.reset(seed=0)
    assert vector.step([[]])[2].tolist() == [True]
    assert vector.step([None])[0]["progress"].tolist() == [[0, 1]]


def test_same_step_hands_over_the_last_observation_and_its_info():
    reader = FakeReader(lambda task: "red" if task.context else "")
    vector = make_vector(EPISODES[0], num_envs=2, autoreset_mode="SameStep", reader=reader)
    vector.reset(seed=0)
    batch, _, terminations, _, infos = vector.step([[fact("Ann has a red bicycle")], []])
    assert terminations.all()
    assert infos["final_obs"][0]["chunk"] == ""
    assert [entry["text"] for entry in infos["final_obs"][0]["entries"]] == ["Ann has a red bicycle"]
    assert infos["final_info"]["exam"]["score"].tolist() == [1.0, 0.0]
    assert infos["_final_info"].tolist() == [True, True]
    assert batch["entries"] == ((), ())


def test_disabled_waits_until_the_ended_ones_are_reset():
    vector = make_vector(*EPISODES, num_envs=2, autoreset_mode="Disabled")
    vector.reset(options={"episodes": [0, 2]})
    assert vector.step([[], []])[2].tolist() == [True, False]
    with pytest.raises(
        gymnasium.error.ResetNeeded, match="environment 0 has ended and autoreset is disabled: pass None"
    ):
        vector.step([[], []])
    batch, rewards, terminations, _, infos = vector.step([None, []])
    assert (batch["chunk"][0], rewards[0]) == ("", 0.0)
    assert terminations.tolist() == [True, False]
    assert infos["_operations"].tolist() == [False, True]
    batch, infos = vector.reset(options={"reset_mask": np.array([True, False]), "episodes": [1, 0]})
    assert infos["episode_id"].tolist() == ["middle", None]
    assert batch["progress"].tolist() == [[0, 2], [2, 3]]
    assert vector.step([[], []])[2].tolist() == [False, True]


def test_exams_that_fall_due_together_are_one_call_of_the_reader():
    reader = FakeReader()
    vector = make_vector(*EPISODES, num_envs=4, autoreset_mode="Disabled", reader=reader)
    vector.reset(options={"episodes": [2, 1, 2, 0]})
    ended = np.zeros(4, dtype=bool)
    while not ended.all():
        ended = vector.step([None if over else [] for over in ended])[2]
    asked = [[task.question for task in batch] for batch in reader.batches]
    first, second = (question.text for question in EPISODES[2].questions)
    assert asked == [[first], [first], [first, second, first, second]]


def test_advance_moves_only_the_environments_it_is_given():
    vector = make_vector(*EPISODES, num_envs=3)
    vector.reset(options={"episodes": [2, 2, 2]})
    results = vector.advance({2: [fact("tea")], 0: []})
    assert list(results) == [2, 0]
    assert [int(env.observation()["progress"][0]) for env in vector.envs] == [1, 0, 1]
    assert [len(results[index].info["operations"]) for index in (2, 0)] == [1, 0]


def test_named_episodes_are_one_per_environment():
    vector = make_vector(*EPISODES, num_envs=3)
    assert vector.reset(options={"episodes": [2, 0, 1]})[1]["episode_id"].tolist() == ["long", "short", "middle"]
    with pytest.raises(ValueError, match="names 2 episodes for 3 environments"):
        vector.reset(options={"episodes": [0, 1]})


def test_batches_share_nothing():
    spoilt, clean = (make_vector(*EPISODES, num_envs=2) for _ in range(2))
    batch, _ = spoilt.reset(seed=0)
    clean.reset(seed=0)
    batch["progress"][...] = 9
    batch["budget_left"][...] = 9
    returned = spoilt.step([[fact("tea")], []])
    expected = clean.step([[fact("tea")], []])
    assert same(returned, expected)
    returned[0]["entries"][0][0]["text"] = "spoilt"
    returned[2][...] = True
    assert same(spoilt.step([[], []]), clean.step([[], []]))


def test_made_through_gymnasium_with_its_mode():
    vector = gymnasium.make_vec("memgym/Dialogue-v0", num_envs=2, autoreset_mode="SameStep", budget=50)
    assert vector.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert vector.envs[1].config.budget == 50
    assert "Dialogue-v0" in repr(vector)


def test_statistics_wrapper_sees_the_returns():
    vector = gymnasium.wrappers.vector.RecordEpisodeStatistics(make_vector(EPISODES[1], num_envs=2))
    vector.reset(seed=0)
    first = vector.step([[fact("red bicycle")], [fact("red bicycle"), fact("red bicycle")]])[1]
    _, second, terminations, _, infos = vector.step([[], []])
    assert terminations.all()
    assert infos["episode"]["r"] == pytest.approx(first + second)
    assert infos["episode"]["l"].tolist() == [2, 2]


def test_rendering_gives_one_frame_each():
    vector = make_vector(EPISODES[0], num_envs=2, render_mode="ansi")
    vector.reset(seed=0)
    assert [frame.splitlines()[0] for frame in vector.render()] == ["chunk 1 of 1"] * 2


def test_closing_releases_every_bank():
    vector = make_vector(EPISODES[0], num_envs=2)
    vector.reset(seed=0)
    vector.close()
    assert [env.bank for env in vector.envs] == [None, None]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda v: v.step([[]]), ValueError, "got 1 actions for 2 environments"),
        (lambda v: v.step([[], None]), TypeError, "sequence of operations, got NoneType"),
        (lambda v: v.step(["+ tea", []]), TypeError, "sequence of operations, got str"),
        (lambda v: v.reset(seed=[1]), ValueError, "got 1 seeds for 2 environments"),
        (lambda v: v.reset(options={"reset_mask": np.array([False, False])}), ValueError, "at least one True"),
        (lambda v: v.reset(options={"reset_mask": np.array([1, 0])}), ValueError, "expected a bool array"),
        (lambda v: v.reset(options={"reset_mask": np.array([True])}), ValueError, r"of shape \(2,\)"),
        (lambda v: v.reset(options={"episode": 0, "mask": []}), ValueError, "reset option 'mask' is unknown"),
        (lambda v: MemoryVectorEnv(v.envs[0], 0), ValueError, "num_envs=0: expected at least 1"),
        (lambda v: MemoryVectorEnv(v.envs[0], 1, "Never"), ValueError, "Never"),
    ],
)
def test_a_programmer_s_mistake_raises_one_clear_line(call, error, message):
    vector = make_vector(EPISODES[2], num_envs=2)
    vector.reset(seed=0)
    with pytest.raises(error, match=message) as caught:
        call(vector)
    assert "\n" not in str(caught.value)


def test_stepping_before_the_first_reset_asks_for_it():
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        make_vector(EPISODES[0]).step([[]])
