"""Reward terms and recipes against closed forms; the numbers of the Mem-alpha acceptance test are its equations'."""

import pickle
from dataclasses import replace
from statistics import mean, stdev

import pytest

from memgym.exam.exam import ExamResult, GradedAnswer
from memgym.memory.bank import MemoryBank
from memgym.memory.budget import Budget
from memgym.memory.operations import Operation
from memgym.memory.provenance import attribute_sources
from memgym.rewards import (
    RECIPES,
    EpisodeOutcome,
    StepOutcome,
    compression,
    content_term,
    correctness,
    em_else_f1,
    evidence_recall,
    exact_match,
    failed,
    get_recipe,
    mem_alpha,
    memgym,
    memory_r1,
    rule_judge,
    tool_success,
    unjustified_delete,
    unsupported,
)
from memgym.rollout import Decision, Trajectory, TrajectoryStep
from tests.scripted import fact, make_env, make_episode, tea_story

CHUNK = tea_story().chunks[0]  # "Ann: I bought a red bicycle in Bern.", "Ann: Lovely weather again."


def step(*operations: Operation, bank: MemoryBank | None = None, chunk=CHUNK) -> StepOutcome:
    """What these operations do to the bank while the chunk is read."""
    bank = bank or MemoryBank()
    core = bank.core
    results = tuple(
        bank.apply(operation, sources=attribute_sources(operation.text, chunk.turns), timestamp=chunk.timestamp)
        for operation in operations
    )
    return StepOutcome(chunk, results, core, bank)


def filled(*texts: str, core: str = "", **budget: int) -> MemoryBank:
    bank = MemoryBank(budget=Budget(**budget))
    for text in texts:
        assert bank.insert("semantic", text).ok
    if core:
        assert bank.update("core", core).ok
    return bank


def graded(*rows: tuple[str, str, float, float | None]) -> ExamResult:
    """Answers as (prediction, gold, score, evidence recall)."""
    return ExamResult(
        tuple(
            GradedAnswer(str(i), "any", "?", (gold,), prediction, "squad_f1", score, (), recall, 0)
            for i, (prediction, gold, score, recall) in enumerate(rows)
        )
    )


def episode_outcome(bank=None, episode=None, exam=None) -> EpisodeOutcome:
    return EpisodeOutcome(episode or tea_story(), bank or MemoryBank(), exam or graded())


def delete(entry_id: int) -> Operation:
    return Operation("delete", "semantic", entry_id=entry_id)


# --- Mem-alpha (arXiv 2509.25911): r = r1 + r2 + .05 r3 + .1 r4 ---


def paper_trajectory(r1: float, r3: float, r2: tuple[float, ...], r4: tuple[float, ...]) -> Trajectory:
    """A trajectory whose steps and end have these unweighted terms, paid by the recipe."""
    recipe = mem_alpha()
    ends = {"correctness": r1, "compression": r3}
    trajectory = Trajectory(0, "e", "p", terms=ends, episode_reward=recipe.total(ends))
    for t, (success, content) in enumerate(zip(r2, r4, strict=True)):
        terms = {"tool_success": success, "content": content}
        own = recipe.total(terms)
        paid = own / len(r2) + (trajectory.episode_reward if t == len(r2) - 1 else 0.0)
        trajectory.steps.append(TrajectoryStep(t, Decision(()), [], terms, own, paid, {}))
    return trajectory


def test_the_acceptance_vectors_of_the_paper_s_reward_and_its_mixed_group_advantage():
    rollouts = [paper_trajectory(0.2, 0.5, (1, 0), (1, 0)), paper_trajectory(0.6, 0.1, (1, 1), (0, 1))]
    rewards = [[rollout.turn_reward(t) for t in range(2)] for rollout in rollouts]
    assert rewards[0] == pytest.approx([1.325, 0.225])
    assert rewards[1] == pytest.approx([1.605, 1.705])
    assert [rollout.reward for rollout in rollouts] == pytest.approx([mean(row) for row in rewards])
    # One group of all chunks of all rollouts, sample standard deviation.
    flat = [reward for row in rewards for reward in row]
    advantages = [(reward - mean(flat)) / (stdev(flat) + 1e-6) for reward in flat]
    assert advantages == pytest.approx([0.161928, -1.457352, 0.574108, 0.721316], abs=1e-6)


def test_the_weights_of_the_paper():
    recipe = get_recipe("mem_alpha")
    weights = {name: weight for name, (weight, _) in (*recipe.step_terms.items(), *recipe.episode_terms.items())}
    assert weights == {"tool_success": 1.0, "content": 0.1, "correctness": 1.0, "compression": 0.05}
    assert mem_alpha(beta=0.2, gamma=0.5).total({"compression": 1.0, "content": 1.0}) == pytest.approx(0.7)


def test_a_chunk_without_calls_earns_nothing_from_calls():
    for operations in ((), (Operation("noop"),), (Operation("search", text="bicycle"), Operation("noop"))):
        assert mem_alpha().score_step(step(*operations)) == {"tool_success": 0.0, "content": 0.0}


def test_a_duplicate_insert_is_a_failed_call():
    assert tool_success(step(fact("Ann bought a bicycle"), fact("Ann bought a bicycle"))) == 0.5


def test_deleting_a_missing_id_is_a_success_to_the_paper():
    assert tool_success(step(delete(99))) == 1.0
    assert tool_success(step(Operation("delete", "core"))) == 1.0


def test_updating_a_missing_id_and_unreadable_text_are_failures():
    missing = Operation("update", "semantic", "Ann", entry_id=99)
    assert tool_success(step(missing, Operation("invalid", text="?"), fact("Ann"), delete(1))) == 0.5


@pytest.mark.parametrize(
    ("memory", "expected"), [([], 1.0), (["a b c d e"], 0.5), (["a b c d e", "f g h i j k l m n o p q r s t"], -1.0)]
)
def test_compression_is_unclipped_a_memory_of_twice_the_input_is_minus_one(memory, expected):
    episode = make_episode(["one two three four five six seven eight"])  # "Ann:" adds two tokens
    assert compression(episode_outcome(filled(*memory), episode)) == expected


def test_compression_counts_core_and_all_chunks_in_the_unit_of_the_bank():
    bank = MemoryBank(count_tokens=len)
    bank.update("core", "12345")
    episode = make_episode(["1234"], ["1234567"])  # with "Ann: ", 9 and 12 characters
    assert compression(episode_outcome(bank, episode)) == pytest.approx(1 - 5 / 21)


@pytest.mark.parametrize(
    ("store", "text", "valid"),
    [
        ("core", "Ann cycles in Bern", True),
        ("core", "The user.", False),
        ("semantic", "Ann owns a bicycle", True),
        ("semantic", "Ann", False),
        ("semantic", "it is the", False),
        ("episodic", "Ann bought a bicycle on 1 May", True),
        ("episodic", "Ann bought a bicycle yesterday", True),
        ("episodic", "Ann bought a bicycle", False),
        ("episodic", "on Monday", False),
        ("attic", "Ann bought a bicycle on 1 May", False),
    ],
)
def test_the_rule_judge_asks_what_the_paper_s_judge_asks(store, text, valid):
    assert rule_judge(store, text) is valid


def test_content_is_the_share_of_valid_texts_and_deletes_count_as_none():
    bank = filled("Ann owns a bicycle")
    outcome = step(
        fact("Ann owns a cat"), fact("Hm"), delete(1), Operation("invalid", text="Ann owns a boat"), bank=bank
    )
    assert content_term()(outcome) == 0.25


def test_content_judges_a_failed_call_by_its_text():
    assert content_term()(step(fact("Ann owns a cat", timestamp="soon"))) == 1.0
    assert content_term()(step(Operation("insert", "attic", "Ann owns a cat"))) == 0.0


def test_content_reads_the_time_of_an_event_from_its_timestamp():
    bank = MemoryBank()
    assert content_term()(step(Operation("insert", "episodic", "Ann bought a bicycle"), bank=bank)) == 0.0
    dated = Operation("insert", "episodic", "Ann sold her bicycle", timestamp="2024-05-01")
    redated = Operation("update", "episodic", "Ann lost her bicycle", entry_id=1, timestamp="2024-05-02")
    assert content_term()(step(dated, redated, bank=bank)) == 1.0


def test_content_asks_the_store_of_an_entry_that_is_named_by_its_id_alone():
    rewrite = Operation("update", "", "Ann owns two bicycles", entry_id=1)
    assert content_term()(step(rewrite, bank=filled("Ann owns a bicycle"))) == 1.0


def test_another_judge_can_stand_in():
    asked = []

    def judge(store, text):
        asked.append((store, text))
        return text == "Hm"

    recipe = mem_alpha(judge)
    assert recipe.score_step(step(fact("Hm"), fact("Ann owns a cat")))["content"] == 0.5
    assert asked == [("semantic", "Hm"), ("semantic", "Ann owns a cat")]


# --- Memory-R1 (arXiv 2508.19828) ---


def test_memory_r1_pays_exact_matches_and_nothing_else():
    exam = graded(("The red one", "red one", 0.9, None), ("red", "red one", 0.5, None), ("", "x", 0.0, None))
    assert exact_match(episode_outcome(exam=exam)) == pytest.approx(1 / 3)
    recipe = memory_r1()
    assert recipe.score_step(step(fact("Ann"), delete(9))) == {}
    terms = recipe.score_episode(episode_outcome(exam=exam))
    assert recipe.total(terms) == pytest.approx(1 / 3)
    assert terms["correctness"] == pytest.approx(1.4 / 3), "logged beside it, at no weight"


def test_an_exact_match_need_not_repeat_the_explanation_of_a_gold():
    (answer,) = graded(("Likely no", "LIkely no; she is afraid", 0.5, None)).answers
    exam = ExamResult((replace(answer, metric="locomo_3"), answer))
    outcome = episode_outcome(exam=exam)
    assert (exact_match(outcome), em_else_f1(outcome)) == (0.5, 0.75)


def test_an_exam_without_questions_pays_nothing():
    outcome = episode_outcome()
    assert (exact_match(outcome), correctness(outcome), evidence_recall(outcome)) == (0.0, 0.0, 0.0)


# --- memgym's own ---


def test_doing_nothing_is_neutral():
    for operations in ((), (Operation("noop"),), (Operation("search", text="bicycle"),)):
        assert memgym().total(memgym().score_step(step(*operations))) == 0.0


def test_a_failed_call_costs_its_share():
    outcome = step(fact("Ann bought a red bicycle"), delete(99), Operation("invalid", text="?"), fact("Lovely weather"))
    assert failed(outcome) == 0.5
    assert memgym().total(memgym().score_step(outcome)) == pytest.approx(-0.05)


def test_a_duplicate_earns_nothing_and_costs_what_any_failure_costs():
    bank = filled("Ann bought a red bicycle")
    terms = memgym().score_step(step(fact("Ann bought a red bicycle"), bank=bank))
    assert terms == {"failed": 1.0, "unsupported": 0.0, "unjustified_delete": 0.0}
    assert memgym().total(terms) == pytest.approx(-0.1)


def test_writing_what_the_chunk_does_not_say_is_unsupported():
    assert unsupported(step(fact("Ann bought a red bicycle in Bern"))) == 0.0
    assert unsupported(step(fact("Zoe sailed around Iceland"))) == 1.0
    assert unsupported(step(fact("Ann bought a red bicycle"), fact("Zoe sailed around Iceland"))) == 0.5


def test_half_of_the_words_are_support_enough():
    assert unsupported(step(fact("red bicycle purple helicopter"))) == 0.0
    assert unsupported(step(fact("red bicycle purple helicopter zebra"))) == 1.0


def test_what_a_rewrite_replaces_supports_it_and_so_does_the_old_core():
    bank = filled("Ann owns green shoes", core="Ann studied medicine")
    assert unsupported(step(Operation("update", "semantic", "green shoes owns", entry_id=1), bank=bank)) == 0.0
    assert unsupported(step(Operation("update", "core", "studied medicine, red bicycle"), bank=bank)) == 0.0


def test_failed_writes_are_not_asked_for_support():
    assert unsupported(step(Operation("insert", "attic", "Zoe sailed around Iceland"))) == 0.0


def test_a_delete_without_a_reason_is_unjustified():
    bank = filled("Ines bakes bread", "Moss sleeps late")
    assert unjustified_delete(step(delete(1), bank=bank)) == 1.0


def test_a_delete_is_justified_when_the_chunk_speaks_of_the_same_thing():
    assert unjustified_delete(step(delete(1), bank=filled("Ann owns a red bicycle"))) == 0.0


def test_a_delete_is_justified_when_another_entry_says_it_all():
    assert unjustified_delete(step(delete(1), bank=filled("Ines bakes", "Ines bakes bread"))) == 0.0
    assert unjustified_delete(step(delete(2), bank=filled("Ines bakes", "Ines bakes bread"))) == 1.0


def test_a_delete_is_justified_when_a_write_of_the_step_needed_its_room():
    bank = filled("Ines bakes bread", "Moss sleeps late", total=6)
    assert unjustified_delete(step(delete(1), fact("red bicycle Bern"), bank=bank)) == 0.0
    roomy = filled("Ines bakes bread", "Moss sleeps late", total=60)
    assert unjustified_delete(step(delete(1), fact("red bicycle Bern"), bank=roomy)) == 1.0
    exactly = filled("Ines bakes bread", "Moss sleeps late", total=9)  # it would still fit beside the new one
    assert unjustified_delete(step(delete(1), fact("red bicycle Bern"), bank=exactly)) == 1.0
    unwritten = filled("Ines bakes bread", "Moss sleeps late", total=6)
    assert unjustified_delete(step(delete(1), bank=unwritten)) == 1.0


def test_clearing_the_core_is_as_good_as_what_replaces_it():
    assert unjustified_delete(step(Operation("delete", "core"), bank=filled(core="Ines bakes bread"))) == 1.0
    rewrite = Operation("update", "core", "Ann owns a red bicycle")
    assert unjustified_delete(step(Operation("delete", "core"), rewrite, bank=filled(core="Ines bakes bread"))) == 0.0


def test_only_deletes_are_asked_for_a_reason():
    assert unjustified_delete(step(fact("Zoe sailed"), delete(99))) == 0.0


def test_evidence_recall_skips_questions_without_evidence():
    exam = graded(("", "x", 0, 1.0), ("", "x", 0, None), ("", "x", 0, 0.5))
    assert evidence_recall(episode_outcome(exam=exam)) == 0.75


def test_the_exam_decides_the_default_reward():
    recipe = memgym()
    exam = graded(("", "x", 0.6, 0.25), ("", "x", 0.2, None))
    terms = recipe.score_episode(episode_outcome(exam=exam))
    assert terms == {"correctness": pytest.approx(0.4), "evidence_recall": 0.25, "compression": 1.0}
    assert recipe.total(terms) == pytest.approx(0.4)


# --- recipes ---


def test_recipes_by_name():
    assert list(RECIPES) == ["mem_alpha", "memory_r1", "memgym"]
    assert [get_recipe(name).name for name in RECIPES] == list(RECIPES)
    recipe = memgym()
    assert get_recipe(recipe) is recipe
    with pytest.raises(ValueError, match="reward 'gold' is unknown; choose one of mem_alpha, memory_r1, memgym"):
        get_recipe("gold")


def test_a_reweighted_recipe_logs_the_same_terms_and_pays_others():
    recipe = memgym().reweighted(evidence_recall=0.5, failed=0.0)
    outcome = step(delete(99))
    assert recipe.score_step(outcome) == memgym().score_step(outcome)
    assert recipe.total({"failed": 1.0, "evidence_recall": 0.4, "correctness": 0.3}) == pytest.approx(0.5)
    assert memgym().total({"evidence_recall": 1.0}) == 0.0, "the original is as it was"


def test_reweighting_an_unknown_term_raises_one_line():
    with pytest.raises(ValueError, match="reward 'memgym' has no term luck, style; its terms are failed, unsupported"):
        memgym().reweighted(style=1.0, luck=2.0)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_goes_to_other_processes(name):
    again = pickle.loads(pickle.dumps(get_recipe(name)))
    outcome = step(fact("Ann bought a red bicycle"), delete(9))
    assert again.score_step(outcome) == get_recipe(name).score_step(outcome)


def test_every_operation_on_core_is_paid_in_every_recipe():
    for name in RECIPES:
        env = make_env(tea_story(), reward=name)
        env.reset(seed=0)
        env.step([Operation("update", "core", "Zoe sails")])
        env.step([Operation("delete", "core"), Operation("delete", "core")])
