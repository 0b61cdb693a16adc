import pytest

from agents.answer_policy import AnswerPolicy, reading_task
from agents.answerer import AnswerAgent, read_answer
from agents.backbone import LoraSettings, add_adapter
from agents.prompts.answer import DISTIL, SYSTEM
from memgym.envs.answer import AnswerEnv
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ReadingTask
from memgym.exam.reply import ANSWER_MARK
from memgym.memory.operations import Entry
from memgym.rollout import rollout
from memgym.tasks.episode import PreparedMemory
from memgym.tasks.retrieved_questions import RetrievedQuestions
from memgym.tasks.task import EpisodeList
from tests.scripted import make_chat, make_question

MODES = pytest.mark.parametrize("distil", [True, False])


def make_env(memories=4, **settings) -> AnswerEnv:
    chat = make_chat(
        8, [make_question("How long is 5?", "5 metres", "t5", timestamp="2024-05-03"), make_question("6?", "6")]
    )
    return AnswerEnv(RetrievedQuestions(EpisodeList("chats", [chat]), memories=memories, **settings))


@pytest.fixture
def observation():
    return make_env().reset(options={"episode": 0})[0]


def said(observation):
    return {memory["id"]: memory["speaker"] for memory in observation["memories"]}


def told(backbone, ids) -> str:
    return backbone.tokenizer.decode(ids)


# --- what it reads ---


@MODES
def test_its_prompt_is_that_of_the_reader_which_its_adapter_becomes(tiny_backbone, observation, distil):
    entries = [
        Entry(id_, "episodic", f"{speaker}: Number {n} is {n} metres long.", "2024-05-01T09:00", (), 0, 0)
        for id_, speaker, n in ((1, "Ulla", 0), (3, "Per", 5), (2, "Ulla", 2))
    ]
    asked = make_env(memories=3).reset(options={"episode": 0})[0]
    task = ReadingTask("How long is 5?", "", tuple(entries), "2024-05-03")
    assert reading_task(asked) == task, "the best of each speaker in turn"
    policy, reader = AnswerPolicy(tiny_backbone, distil=distil), AnswerAgent(tiny_backbone, distil=distil, window=4000)
    assert policy.prompt_ids(asked) == reader.prompt_ids(task)


def test_memories_are_read_in_order_of_time_with_their_day_before_the_question(tiny_backbone, observation):
    text = told(tiny_backbone, AnswerPolicy(tiny_backbone).prompt_ids(observation))
    assert (
        "1 May 2024: Ulla: Number 0 is 0 metres long.\n"
        "1 May 2024: Per: Number 1 is 1 metres long.\n"
        "1 May 2024: Ulla: Number 2 is 2 metres long.\n"
        "1 May 2024: Per: Number 5 is 5 metres long.\n"
        "Question (3 May 2024): How long is 5?" in text
    )


def test_only_with_distillation_it_is_asked_to_name_memories(tiny_backbone, observation):
    distilling = told(tiny_backbone, AnswerPolicy(tiny_backbone, distil=True).prompt_ids(observation))
    direct = told(tiny_backbone, AnswerPolicy(tiny_backbone, distil=False).prompt_ids(observation))
    assert DISTIL in distilling and SYSTEM not in distilling
    assert SYSTEM in direct and DISTIL not in direct
    assert distilling.replace(DISTIL, "") == direct.replace(SYSTEM, "")


def test_the_core_is_read_first(tiny_backbone):
    def prepare(histories):
        return [(PreparedMemory("They measure.", store="core"), PreparedMemory("Ulla: Yes.", ("t0",)))]

    seen = make_env(prepare=prepare).reset(options={"episode": 1})[0]
    assert "They measure.\nUlla: Yes.\nQuestion: 6?" in told(
        tiny_backbone, AnswerPolicy(tiny_backbone).prompt_ids(seen)
    )


def test_what_ranks_lowest_is_left_out_when_the_window_is_full(tiny_backbone, observation):
    text = told(tiny_backbone, AnswerPolicy(tiny_backbone, window=20).prompt_ids(observation))
    assert [f"Number {n} is" in text for n in (0, 1, 2, 5)] == [True, False, False, True]


# --- what it writes ---


@MODES
@pytest.mark.parametrize("useful", [[], [4], [4, 1, 2]])
def test_the_reply_to_imitate_earns_everything(tiny_backbone, distil, useful):
    env = make_env()
    observation, _ = env.reset(options={"episode": 0})
    policy = AnswerPolicy(tiny_backbone, distil=distil)
    reader = AnswerAgent(tiny_backbone, distil=distil)
    *_, info = env.step(policy.read(reader.write("5 metres", reading_task(observation), useful, said(observation))))
    terms = info["reward_terms"]
    assert (terms["em"], terms["f1"], terms["format"]) == (1.0, 1.0, 1.0)
    assert sorted(info["selected"]) == (sorted(useful) if distil else [])


@pytest.mark.parametrize("completion", ["5 metres", " 5 metres\nIndeed", f"x {ANSWER_MARK} 5 metres", ""])
def test_a_direct_answer_is_read_as_an_exam_s_reader_is(tiny_backbone, completion):
    env = make_env()
    env.reset(options={"episode": 0})
    *_, info = env.step(AnswerPolicy(tiny_backbone, distil=False).read(completion))
    assert info["exam"]["answers"][0]["prediction"] == read_answer(completion)


def test_a_distilled_reply_is_the_action_as_it_is(tiny_backbone):
    assert AnswerPolicy(tiny_backbone).read("no mark") == "no mark"
    assert read_answer("no mark", marked=True) == ""
    assert read_answer(f"a\n{ANSWER_MARK} b", marked=True) == "b"


@MODES
def test_a_decision_holds_the_sampled_tokens_and_the_reply(tiny_backbone, observation, distil):
    policy = AnswerPolicy(tiny_backbone, distil=distil, max_new_tokens=8)
    (decision,) = policy.act([observation], [0])
    tokenizer = tiny_backbone.tokenizer
    assert list(decision.prompt_ids) == policy.prompt_ids(observation)
    assert decision.text == policy.read(tokenizer.decode(decision.completion_ids, skip_special_tokens=True))
    assert decision.text.startswith(ANSWER_MARK) != distil
    assert decision.truncated == (tokenizer.eos_token_id not in decision.completion_ids)
    assert decision.operations == ()


def test_sampling_depends_on_the_seed_and_the_number_of_the_call_alone(tiny_backbone, observation):
    def replies(seed):
        policy = AnswerPolicy(tiny_backbone, temperature=1.0, max_new_tokens=8, seed=seed)
        first = [policy.act([observation], [0])[0].completion_ids for _ in range(2)]
        policy.reseed(seed)
        assert policy.act([observation], [0])[0].completion_ids == first[0]
        return first

    first = replies(1)
    assert first == replies(1)
    assert first[0] != first[1]
    assert first != replies(2)


def test_it_acts_with_its_own_adapter(own_backbone, observation):
    bare = AnswerPolicy(own_backbone, max_new_tokens=8).act([observation], [0])
    add_adapter(own_backbone, "default", LoraSettings(rank=4))
    for name, weight in own_backbone.model.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(1.0)
    assert AnswerPolicy(own_backbone, max_new_tokens=8).act([observation], [0]) == bare
    assert AnswerPolicy(own_backbone, adapter="default", max_new_tokens=8).act([observation], [0]) != bare


def test_an_adapter_s_record_says_how_it_is_used(own_backbone):
    assert AnswerPolicy(own_backbone).record == {"role": "answerer", "distil": True, "max_new_tokens": 96}
    add_adapter(own_backbone, "direct", LoraSettings(rank=4))
    own_backbone.trained_as["direct"] = {"role": "answerer", "distil": False, "max_new_tokens": 5}
    policy = AnswerPolicy(own_backbone, adapter="direct")
    assert (policy.distil, policy.max_new_tokens) == (False, 5)
    with pytest.raises(ValueError, match="the adapter was trained with distil=False, not True"):
        AnswerPolicy(own_backbone, adapter="direct", distil=True)


def test_a_rollout_grades_it(tiny_backbone):
    env = MemoryVectorEnv(make_env(), 2)
    trajectories = rollout(env, AnswerPolicy(tiny_backbone, max_new_tokens=4), [0, 1])
    assert [trajectory.policy for trajectory in trajectories] == ["answerer"] * 2
    assert all(set(trajectory.terms) == set(env.envs[0].recipe.episode_terms) for trajectory in trajectories)
    assert all(len(trajectory.steps[0].decision.completion_ids) <= 4 for trajectory in trajectories)
