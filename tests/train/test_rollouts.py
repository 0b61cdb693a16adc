import random
from types import SimpleNamespace

import pytest
import torch
from trl.trainer.utils import RepeatSampler

from agents.manager import MemoryManager
from memgym.memory.operations import Operation
from memgym.rewards import Recipe, correctness, failed
from memgym.rollout import Decision, rollout
from tests.scripted import FakeReader, fact, make_vector, tea_story
from train.rollouts import GridRollouts, grid_prompts, summarise

KNOWS = FakeReader(lambda task: "red" if task.context else "no idea")  # right about the bicycle, once there is a memory
DOUBLE = Recipe("double", episode_terms={"correctness": (2.0, correctness)})
WITH_COSTS = Recipe("costs", {"failed": (-0.25, failed)}, {"correctness": (1.0, correctness)})


class Player:
    """Row n of a batch does what ``choose`` says; its token ids say where it was and when."""

    name = "player"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, backbone, choose=lambda row, rows, observation: ()):
        self.backbone = backbone
        self.choose = choose

    def reseed(self, seed):
        self.seed = seed

    def act(self, observations, episodes):
        return [
            Decision(
                tuple(self.choose(row, len(observations), observation)),
                prompt_ids=(100 + episode, 50 + int(observation["progress"][0])),
                completion_ids=(10 + row, self.backbone.tokenizer.eos_token_id),
            )
            for row, (observation, episode) in enumerate(zip(observations, episodes, strict=True))
        ]


class Witness(MemoryManager):
    """A manager whose decisions the test can look at."""

    def act(self, observations, episodes):
        decisions = super().act(observations, episodes)
        self.seen = [*getattr(self, "seen", []), *decisions]
        return decisions


def evens_remember(row, rows, observation):
    """Every other trajectory of a group stores a fact."""
    return (fact("The bicycle is red."),) if row % 2 == 0 else ()


def stories(count=4, days=3, **settings):
    env_settings = {"reader": KNOWS, "num_envs": 8, **settings}
    return make_vector(*(tea_story(f"s{n}", days) for n in range(count)), **env_settings)


def at(step=0, process=0):
    """The part of a trainer that rollouts look at."""
    return SimpleNamespace(state=SimpleNamespace(global_step=step), accelerator=SimpleNamespace(process_index=process))


def batch_of(episodes, slots, group_size):
    return [prompt for prompt in grid_prompts(episodes, slots) for _ in range(group_size)]


# --- The grid --------------------------------------------------------------------------------------------------------


def test_the_dataset_lists_every_slot_of_every_episode_in_order():
    assert grid_prompts([4, 7], 3) == ["4:0", "4:1", "4:2", "7:0", "7:1", "7:2"]


@pytest.mark.parametrize(
    ("episodes_per_step", "slots", "group_size", "repeats"), [(1, 2, 2, 1), (2, 3, 2, 4), (2, 1, 4, 2)]
)
def test_the_order_of_trls_own_sampler_is_the_order_of_the_grid(
    tiny_backbone, episodes_per_step, slots, group_size, repeats
):
    """Each process gets consecutive slices of rows; every generation batch is repeated once per micro step."""
    prompts = grid_prompts(range(4), slots)
    rows = episodes_per_step * slots * group_size
    sampler = RepeatSampler(
        prompts, group_size, batch_size=episodes_per_step * slots, repeat_count=repeats, shuffle=False
    )
    order = [prompts[index] for index in sampler]
    assert len(order) == 4 * slots * group_size * repeats
    rollouts = GridRollouts(stories(), Player(tiny_backbone), group_size=group_size, slots=slots, seed=0)
    for start in range(0, len(order), rows):
        first = start // (rows * repeats) * episodes_per_step
        returned = rollouts(order[start : start + rows], at())
        episodes = [ids[0] - 100 for ids in returned["prompt_ids"]]
        assert episodes == [first + n for n in range(episodes_per_step) for _ in range(slots * group_size)]


def test_the_group_of_a_row_is_all_trajectories_of_an_episode_at_one_turn(tiny_backbone):
    rollouts = GridRollouts(stories(), Player(tiny_backbone), group_size=2, slots=2, seed=0)
    returned = rollouts(batch_of([3, 1], 2, 2), at())
    assert {len(returned[key]) for key in ("prompt_ids", "completion_ids", "env_mask", "turn_reward")} == {8}
    for start, episode in ((0, 3), (4, 1)):
        turns = []
        for group in (start, start + 2):
            pair = returned["prompt_ids"][group : group + 2]
            assert pair[0] == pair[1]
            assert pair[0][0] == 100 + episode
            turns.append(pair[0][1])
            # Rows of the episode's trajectories, in the same order in every slot.
            assert [ids[0] - 10 for ids in returned["completion_ids"][group : group + 2]] == [
                start // 2,
                start // 2 + 1,
            ]
        assert turns == sorted(set(turns))


def test_over_the_steps_every_turn_is_drawn(tiny_backbone):
    rollouts = GridRollouts(stories(), Player(tiny_backbone), group_size=2, slots=1, seed=0)
    drawn = [rollouts(batch_of([0], 1, 2), at(step))["prompt_ids"][0][1] - 50 for step in range(20)]
    assert set(drawn) == {0, 1, 2}


@pytest.mark.parametrize(("rows", "multiple"), [(3, 4), (6, 4), (1, 4)])
def test_a_batch_that_cuts_an_episode_names_the_numbers_to_change(tiny_backbone, rows, multiple):
    rollouts = GridRollouts(stories(), Player(tiny_backbone), group_size=2, slots=2, seed=0)
    with pytest.raises(
        ValueError, match=rf"batch of {rows} rows .* 2 slots x 2 trajectories: make .* a multiple of {multiple}"
    ):
        rollouts(batch_of([0, 1], 2, 2)[:rows], at())


def test_rows_in_another_order_are_refused(tiny_backbone):
    rollouts = GridRollouts(stories(), Player(tiny_backbone), group_size=2, slots=2, seed=0)
    batch = batch_of([0, 1], 2, 2)
    random.Random(0).shuffle(batch)
    for wrong in (batch, ["0:0", "0:1", "0:0", "0:1"], ["0:1", "0:1", "0:0", "0:0"]):
        with pytest.raises(ValueError, match="not in grid order: set shuffle_dataset to False"):
            rollouts(wrong, at())


# --- Rows that hold no turn ------------------------------------------------------------------------------------------


def test_slots_beyond_the_last_turn_are_filled_with_one_masked_token_without_reward(tiny_backbone):
    rollouts = GridRollouts(stories(), Player(tiny_backbone, evens_remember), group_size=2, slots=5, seed=0)
    returned = rollouts(batch_of([0], 5, 2), at())
    end = tiny_backbone.tokenizer.eos_token_id
    assert [ids[1] - 50 for ids in returned["prompt_ids"][:6]] == [0, 0, 1, 1, 2, 2]
    assert returned["env_mask"] == [[1, 1]] * 6 + [[0]] * 4
    for key, filler in (("prompt_ids", [end]), ("completion_ids", [end]), ("turn_reward", None)):
        assert returned[key][6:] == [filler] * 4
    assert None not in returned["turn_reward"][:6]


def search_first(row, rows, observation):
    """The last row searches on the first chunk as long as it may: its episode takes two steps more."""
    if row == rows - 1 and observation["progress"][0] == 0:
        return (Operation("search", "", "bicycle"),)
    return ()


def test_steps_that_only_one_trajectory_took_leave_the_slots_of_the_others_empty(tiny_backbone):
    """And shift nothing: chunk 1 is compared with chunk 1."""
    rollouts = GridRollouts(stories(), Player(tiny_backbone, search_first), group_size=2, slots=5, seed=0)
    returned = rollouts(batch_of([0], 5, 2), at())
    chunks = [ids[1] - 50 if len(ids) == 2 else None for ids in returned["prompt_ids"]]
    assert chunks[0::2] == [0, None, None, 1, 2]
    assert chunks[1::2] == [0, 0, 0, 1, 2]
    assert [reward is None for reward in returned["turn_reward"][0::2]] == [False, True, True, False, False]
    assert None not in returned["turn_reward"][1::2]


class Silent(Player):
    """Generates nothing on the second chunk in the rows it is told, as MemLoRA does with nothing to decide."""

    def __init__(self, backbone, rows):
        super().__init__(backbone)
        self.rows = rows

    def act(self, observations, episodes):
        decisions = super().act(observations, episodes)
        return [
            Decision(()) if row in self.rows and observations[row]["progress"][0] == 1 else decision
            for row, decision in enumerate(decisions)
        ]


def test_a_turn_without_tokens_is_masked_and_scored_by_nobody(tiny_backbone):
    rollouts = GridRollouts(stories(), Silent(tiny_backbone, {0}), group_size=2, slots=3, seed=0)
    returned = rollouts(batch_of([0], 3, 2), at())
    end = tiny_backbone.tokenizer.eos_token_id
    assert returned["env_mask"] == [[1, 1], [1, 1], [0], [1, 1], [1, 1], [1, 1]]
    assert returned["prompt_ids"][2] == returned["completion_ids"][2] == [end]
    assert [reward is None for reward in returned["turn_reward"]] == [False, False, True, False, False, False]


def test_no_slot_is_given_to_a_turn_that_nobody_generated(tiny_backbone):
    rollouts = GridRollouts(stories(), Silent(tiny_backbone, {0, 1}), group_size=2, slots=2, seed=0)
    for step in range(5):
        returned = rollouts(batch_of([0], 2, 2), at(step))
        assert [ids[1] - 50 for ids in returned["prompt_ids"]] == [0, 0, 2, 2]


def test_a_policy_without_tokens_cannot_be_trained(tiny_backbone):
    silent = GridRollouts(stories(days=2), Silent(tiny_backbone, {0, 1}), group_size=2, slots=1, seed=0)
    silent.manager.act = lambda observations, episodes: [Decision(()) for _ in observations]
    with pytest.raises(ValueError, match="policy 'player' gave no decision with tokens"):
        silent(batch_of([0], 1, 2), at())


# --- Rewards ---------------------------------------------------------------------------------------------------------


def half_wrong_on_the_first_chunk(row, rows, observation):
    if row == 0 and observation["progress"][0] == 0:
        return (fact("The bicycle is red."), Operation("delete", entry_id=99))
    return ()


def test_a_turn_is_rewarded_with_its_own_terms_and_its_trajectorys(tiny_backbone):
    """Two questions, one answered: 0.5 for every turn of trajectory 0; its first turn half failed: -0.25 / 2."""
    env = stories(reward=WITH_COSTS)
    rollouts = GridRollouts(env, Player(tiny_backbone, half_wrong_on_the_first_chunk), group_size=2, slots=3, seed=0)
    returned = rollouts(batch_of([0], 3, 2), at())
    assert returned["turn_reward"] == [0.5 - 0.125, 0.0, 0.5, 0.0, 0.5, 0.0]


def test_the_reward_function_passes_rewards_through_and_logs_the_rollout(tiny_backbone):
    env = stories(reward=WITH_COSTS)
    rollouts = GridRollouts(env, Player(tiny_backbone, half_wrong_on_the_first_chunk), group_size=2, slots=3, seed=0)
    returned = rollouts(batch_of([0], 3, 2), at())
    logged = {}
    rewards = rollouts.turn_reward(turn_reward=returned["turn_reward"], log_metric=logged.__setitem__, prompts=[])
    assert rewards == returned["turn_reward"]
    assert logged == {
        "score": 0.25,  # (0.5 + 0) / 2 trajectories
        "return": (0.5 - 0.125 / 3) / 2,
        "memory_tokens": 5 / 2,
        "operations_per_step": 2 / 6,
        "parse_failures": 0.0,
        "failed_operations": 0.5,
        "truncated": 0.0,
        "terms/failed": 0.5 / 6,
        "terms/correctness": 0.25,
        "generated_tokens": 2 * 6,
    }


def test_failures_to_parse_and_truncation_are_shares():
    operations = [Operation("invalid", text="?!"), Operation("insert", "episodic", "A tram."), Operation("noop")]

    class Clumsy(Player):
        def act(self, observations, episodes):
            return [Decision(tuple(operations), truncated=int(o["progress"][0]) == 0) for o in observations]

    figures = summarise(rollout(stories(), Clumsy(None), [0]))
    assert figures["truncated"] == 1 / 3
    assert figures["parse_failures"] == 1 / 3
    assert figures["operations_per_step"] == 3.0
    assert figures["failed_operations"] == (3 + 2) / 9  # the tram is stored once, then it is a duplicate


class Extractor(Player):
    """As MemLoRA: row 0 searches on the first chunk, and the update that follows fails; it has tokens but no prompt."""

    def act(self, observations, episodes):
        decisions = super().act(observations, episodes)
        updates = ["search" in "".join(observation["results"]) for observation in observations]
        failing = Decision((Operation("delete", entry_id=99),), completion_ids=(7, 8, 9))
        return [failing if update else decision for update, decision in zip(updates, decisions, strict=True)]


def search_once(row, rows, observation):
    first = row == 0 and observation["progress"][0] == 0
    return (Operation("search", "", "bicycle"),) if first else ()


def test_what_an_update_costs_is_its_extractions_and_its_tokens_count(tiny_backbone):
    env = stories(reward=WITH_COSTS, max_steps_per_chunk=2)
    rollouts = GridRollouts(env, Extractor(tiny_backbone, search_once), group_size=2, slots=3, seed=0)
    returned = rollouts(batch_of([0], 3, 2), at())
    assert [ids[1] - 50 for ids in returned["prompt_ids"]] == [0, 0, 1, 1, 2, 2]
    assert returned["turn_reward"] == [-0.25, 0.0, 0.0, 0.0, 0.0, 0.0]
    logged = {}
    rollouts.turn_reward(returned["turn_reward"], logged.__setitem__)
    assert logged["generated_tokens"] == 2 * 6 + 3


# --- Sampling --------------------------------------------------------------------------------------------------------


def sampled(backbone, *, seed=0, step=0, process=0, slots=2):
    manager = Witness(backbone, adapter="default", max_new_tokens=6, temperature=1.0)
    rollouts = GridRollouts(stories(), manager, group_size=2, slots=slots, seed=seed)
    return rollouts(batch_of([0, 1], slots, 2), at(step, process)), manager.seen


def test_the_same_seed_and_step_give_the_same_rollouts_whatever_came_before(policy):
    first, _ = sampled(policy)
    torch.manual_seed(123)
    assert sampled(policy)[0] == first
    manager = MemoryManager(policy, adapter="default", max_new_tokens=6, temperature=1.0, seed=99)
    rollouts = GridRollouts(stories(), manager, group_size=2, slots=2, seed=0)
    rollouts(batch_of([0, 1], 2, 2), at(7))
    assert rollouts(batch_of([0, 1], 2, 2), at(0)) == first


@pytest.mark.parametrize("change", [{"seed": 1}, {"step": 1}, {"process": 1}])
def test_another_seed_step_or_process_samples_anew(policy, change):
    assert sampled(policy, **change)[0]["completion_ids"] != sampled(policy)[0]["completion_ids"]


def test_trajectories_of_a_group_differ(policy):
    returned, _ = sampled(policy)
    assert returned["completion_ids"][0] != returned["completion_ids"][1]


def test_rows_hold_exactly_the_ids_that_were_read_and_sampled(policy):
    with torch.no_grad():
        policy.model.get_output_embeddings().weight[policy.tokenizer.eos_token_id] *= (
            4  # some replies end by themselves
        )
    returned, decisions = sampled(policy, slots=3)
    assert {decision.truncated for decision in decisions} == {True, False}
    # 2 episodes x 2 trajectories act together on each of 3 chunks; the grid wants episode, turn, trajectory.
    expected = [decisions[4 * turn + 2 * episode + g] for episode in range(2) for turn in range(3) for g in range(2)]
    for row, decision in enumerate(expected):
        assert returned["prompt_ids"][row] == list(decision.prompt_ids)
        assert returned["completion_ids"][row] == list(decision.completion_ids)
        trained = [
            token
            for token, mask in zip(returned["completion_ids"][row], returned["env_mask"][row], strict=True)
            if mask
        ]
        assert policy.tokenizer.decode(trained, skip_special_tokens=True) == decision.text
        assert (trained[-1] == policy.tokenizer.eos_token_id) == (not decision.truncated)


# --- Through TRL's trainer -------------------------------------------------------------------------------------------


def test_rewards_2_and_0_become_advantages_of_plus_and_minus_70706(policy, make_trainer):
    env = stories(days=2, reward=DOUBLE)  # one question
    trainer = make_trainer(GridRollouts(env, Player(policy, evens_remember), group_size=2, slots=2, seed=0))
    trainer.train()
    (batch,) = trainer.batches
    expected = 1 / (2**0.5 + 1e-4)
    assert expected == pytest.approx(0.70706, abs=1e-5)
    torch.testing.assert_close(batch["advantages"], torch.tensor([expected, -expected] * 2), rtol=0, atol=1e-6)
    (row,) = [row for row in trainer.state.log_history if "reward" in row]
    assert (row["reward"], row["score"], row["terms/correctness"]) == (1.0, 0.5, 0.5)
    assert row["frac_reward_zero_std"] == 0.0


def test_the_model_trains_on_its_own_text_and_nothing_else(policy, make_trainer):
    manager = Witness(policy, adapter="default", max_new_tokens=6, temperature=1.0)
    trainer = make_trainer(GridRollouts(stories(), manager, group_size=2, slots=3, seed=0))
    trainer.train()
    (batch,) = trainer.batches
    mask = (batch["completion_mask"] * batch["tool_mask"]).bool()
    for turn in range(3):
        for g in range(2):
            row, decision = 2 * turn + g, manager.seen[2 * turn + g]
            assert batch["completion_ids"][row][mask[row]].tolist() == list(decision.completion_ids)
            assert batch["prompt_ids"][row][batch["prompt_mask"][row].bool()].tolist() == list(decision.prompt_ids)


def test_filler_rows_have_advantage_0_and_no_part_in_the_loss(policy, make_trainer):
    env = stories(days=2, reward=DOUBLE)
    trainer = make_trainer(GridRollouts(env, Player(policy, evens_remember), group_size=2, slots=4, seed=0))
    trainer.train()
    (batch,) = trainer.batches
    assert batch["advantages"][4:].tolist() == [0.0] * 4
    assert (batch["completion_mask"] * batch["tool_mask"]).sum(dim=1).tolist() == [2, 2, 2, 2, 0, 0, 0, 0]
    assert batch["num_items_in_batch"] == 8
    assert next(row for row in trainer.state.log_history if "reward" in row)["reward"] == 1.0  # not diluted
    gradients = gradients_of(trainer, batch)
    batch["completion_ids"][4:], batch["prompt_ids"][4:], batch["advantages"][4:] = 77, 78, 5.0
    for name, gradient in gradients_of(trainer, batch).items():
        assert torch.equal(gradient, gradients[name])


def gradients_of(trainer, batch):
    trainer.model.zero_grad()
    trainer.compute_loss(trainer.model, batch).backward()
    found = {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}
    assert any(gradient.abs().sum() > 0 for gradient in found.values())
    return found
