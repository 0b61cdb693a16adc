"""memgym/MemoryR1Answer-v0 and AnswerEnv: a question and retrieved memories in, a reply out."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from memgym.answer_rewards import ANSWER_TERMS, get_answer_reward
from memgym.envs.answer import AnswerEnv
from memgym.envs.memory_r1_answer import MemoryR1AnswerEnv, make_vector
from memgym.envs.vector import MemoryVectorEnv
from memgym.evaluate import summarise
from memgym.policies import RandomActions
from memgym.records import trajectory_from_row, trajectory_to_row
from memgym.replay import differences, replay
from memgym.rollout import Decision, rollout
from memgym.tasks.episode import PreparedMemory
from memgym.tasks.retrieved_questions import RetrievedQuestions
from memgym.tasks.task import EpisodeList
from tests.scripted import make_chat, make_question, same, write_custom

QUESTIONS = [
    make_question("How long is number 61?", "61 metres", "t61"),
    make_question("And numbers 5 and 70?", "5 metres", "t5", "t70", timestamp="2024-06-01"),
    make_question("What is never said?", "?", answerable=False),
    make_question("Zebra?", "none"),
]
CHAT = make_chat(80, QUESTIONS)
GOLD = "Number 61 is\n**Answer:** 61 metres"


def questions(chat=CHAT, **settings) -> RetrievedQuestions:
    return RetrievedQuestions(EpisodeList("chats", [chat]), **settings)


def make_env(chat=CHAT, **config) -> AnswerEnv:
    return AnswerEnv(questions(chat), **config)


def shown(env, index=0) -> list[tuple[str, str]]:
    memories = env.reset(options={"episode": index})[0]["memories"]
    return [(memory["speaker"], memory["text"]) for memory in memories]


def number(n: int) -> tuple[str, str]:
    speaker = "Ulla" if n % 2 == 0 else "Per"
    return speaker, f"{speaker}: Number {n} is {n} metres long."


class Says:
    """Gives the n-th text in the n-th running episode."""

    name = "says"
    env_overrides = {}  # noqa: RUF012

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def act(self, observations, episodes):
        return [Decision((), text) for _, text in zip(observations, self.texts, strict=True)]


# --- what is retrieved ---


def test_there_is_one_episode_per_answerable_question():
    task = questions()
    assert [task.episode(index).questions for index in range(task.size)] == [(q,) for q in QUESTIONS if q.answerable]
    assert task.episode(0).id == "chat/How long is number 61?"
    assert task.episode(0).chunks == CHAT.chunks


def test_sixty_memories_are_thirty_of_each_speaker_grouped_and_best_first():
    memories = shown(make_env())
    assert [speaker for speaker, _ in memories] == ["Ulla"] * 30 + ["Per"] * 30
    assert len(set(memories)) == 60
    assert memories[30] == number(61)


def test_where_fewer_are_found_the_newest_follow():
    # No turn shares a word with the question "Zebra?".
    assert shown(make_env(), 2) == [number(n) for n in (*range(78, 18, -2), *range(79, 19, -2))]
    # "and" and "numbers" are said by all or by none; "5" and "70" by one turn each.
    assert shown(make_env(), 1)[0] == number(70)


@pytest.mark.parametrize(
    ("speakers", "memories", "shares"),
    [
        (["Ulla", "Per"], 7, {"Ulla": 4, "Per": 3}),
        (["Ulla"], 60, {"Ulla": 60}),
        (["A", "B", "C"], 60, {"A": 20, "B": 20, "C": 20}),
        ([""], 10, {"": 10}),
        (["Ulla", "", "", "", "", "", "", "Per"], 40, {"Ulla": 20, "Per": 10}),
    ],
)
def test_the_memories_are_shared_out_equally_whatever_the_number_of_speakers(speakers, memories, shares):
    env = AnswerEnv(questions(make_chat(80, QUESTIONS, speakers=speakers), memories=memories))
    found = [speaker for speaker, _ in shown(env)]
    if speakers.count("") > 1:  # what a narrator says belongs to the first speaker, whom it does not name
        assert found.count("Ulla") == 20
        assert found.count("Per") == 10
    else:
        assert {speaker: found.count(speaker) for speaker in dict.fromkeys(found)} == shares


def test_a_small_memory_is_shown_whole():
    assert sorted(shown(make_env(make_chat(5, QUESTIONS)))) == sorted(number(n) for n in range(5))


def test_the_core_of_a_memory_is_shown_beside_the_entries():
    def prepare(histories):
        assert [history.questions for history in histories] == [()], "a memory is made without knowing the exam"
        return [(PreparedMemory("Two people measure.", store="core"), PreparedMemory("Per is tall.", ("t1",)))]

    observation, info = AnswerEnv(questions(prepare=prepare)).reset(seed=0)
    assert observation["core"] == "Two people measure."
    assert [(memory["speaker"], memory["text"]) for memory in observation["memories"]] == [("Per", "Per is tall.")]
    assert info["tokens"] == {"core": 4, "episodic": 4, "semantic": 0, "total": 8}


def test_no_memories_and_no_questions_are_refused():
    with pytest.raises(ValueError, match="memories=0: expected at least 1 per question"):
        questions(memories=0)
    with pytest.raises(ValueError, match="the 1 dialogues of 'chats' hold no answerable question"):
        questions(make_chat(4, QUESTIONS[2:3]))


# --- what is seen ---


def test_an_observation_is_the_question_its_date_and_the_memories():
    env = make_env()
    observation, info = env.reset(options={"episode": 1})
    assert set(observation) == {"question", "asked", "core", "memories", "progress"}
    assert (observation["question"], observation["asked"]) == ("And numbers 5 and 70?", "2024-06-01")
    assert observation["progress"].tolist() == [0, 1]
    assert observation["memories"][0] == {
        "id": 60,
        "speaker": "Ulla",
        "text": number(70)[1],
        "timestamp": "2024-05-08T09:00",
    }
    assert observation in env.observation_space
    assert info["episode_id"] == "chat/And numbers 5 and 70?"
    assert info["tokens"]["total"] == info["tokens"]["episodic"] == 60 * 9
    assert (info["operations"], info["reward_terms"]) == ([], {})


def test_ids_number_the_memories_in_order_of_time():
    memories = make_env().reset(options={"episode": 0})[0]["memories"]
    in_time = sorted(memories, key=lambda memory: int(memory["text"].split()[2]))
    assert [memory["id"] for memory in in_time] == list(range(1, 61))


def test_nothing_of_the_exam_but_the_question_is_shown():
    secret = replace(
        QUESTIONS[0],
        id="canaryId",
        answers=("canaryAnswer",),
        category="canaryCategory",
        evidence=("t61",),
        text="Who?",
    )
    turns = make_chat(20, [secret])
    env = make_env(turns, render_mode="ansi")
    observation, info = env.reset(seed=0)
    info.pop("episode_id")  # names the question, for records; it is no observation
    after, *_ = env.step("x")
    for seen in (observation, after, info, env.render()):
        assert "canary" not in repr(seen)
        assert "t1'" not in repr(seen), "turn ids would tell where the evidence is"
    assert "Who?" in repr(observation)


def test_rendering_shows_memories_and_question():
    env = make_env(make_chat(2, QUESTIONS), render_mode="ansi")
    env.reset(seed=0, options={"episode": 0})
    assert env.render().splitlines() == [
        "core: ",
        "#1 2024-05-01T09:00 Ulla: Number 0 is 0 metres long.",
        "#2 2024-05-01T09:00 Per: Number 1 is 1 metres long.",
        "How long is number 61?",
    ]
    assert make_env().render() is None


# --- what a reply earns ---


@pytest.mark.parametrize(
    ("reply", "terms"),
    [
        (GOLD, {"em": 1, "f1": 1, "em_else_f1": 1, "format": 1, "selected": 1, "selected_recall": 1}),
        ("**Answer:** 61 metres", {"em": 1, "f1": 1, "em_else_f1": 1, "format": 1}),
        ("Number 0 is\n**Answer:** about 61 yards", {"f1": 0.4, "em_else_f1": 0.4, "format": 1, "selected": 1}),
        (f"nonsense\n{GOLD}", {"em": 1, "f1": 1, "em_else_f1": 1, "selected": 1, "selected_recall": 1}),
        ("Number 61 is\n61 metres", {}),
        ("Number 61 is\n**Answer:**", {"selected": 1, "selected_recall": 1}),
        ("", {}),
    ],
)
def test_every_reply_is_paid_by_named_terms(reply, terms):
    env = make_env()
    env.reset(options={"episode": 0})
    _, reward, terminated, truncated, info = env.step(reply)
    assert info["reward_terms"] == pytest.approx(dict.fromkeys(ANSWER_TERMS, 0.0) | terms)
    assert reward == terms.get("em", 0)
    assert (terminated, truncated) == (True, False)


def test_the_exam_in_the_info_is_the_answer_graded_by_the_question_s_own_metric():
    env = make_env()
    env.reset(options={"episode": 1})
    *_, info = env.step("Number 70 is\nNumber 5 is\n**Answer:** 5 yards")
    (answer,) = info["exam"]["answers"]
    assert info["exam"]["score"] == answer["score"] == 0.5
    assert (answer["prediction"], answer["answers"], answer["metric"]) == ("5 yards", ["5 metres"], "squad_f1")
    assert len(answer["retrieved"]) == 60
    assert answer["evidence_recall"] == 1.0, "of what was shown"
    assert info["reward_terms"]["selected_recall"] == 1.0, "of what was named"
    by_id = {memory["id"]: memory["text"] for memory in env.observation()["memories"]}
    assert [by_id[id_] for id_ in info["selected"]] == [number(70)[1], number(5)[1]]


def test_em_else_f1_is_the_larger_of_the_two():
    question = make_question("?", "Likely no; she is afraid", metric="locomo_3")
    env = make_env(make_chat(4, [question]), reward="em_else_f1")
    env.reset(seed=0)
    _, reward, _, _, info = env.step("**Answer:** Likely no; she is afraid")
    assert (info["reward_terms"]["em"], info["reward_terms"]["f1"]) == (0.0, pytest.approx(4 / 7))
    assert reward == pytest.approx(4 / 7)


def test_the_explanation_of_an_open_domain_gold_need_not_be_given():
    question = make_question("?", "LIkely no; though she is afraid", metric="locomo_3")
    env = make_env(make_chat(4, [question]), reward="em")
    env.reset(seed=0)
    assert env.step("**Answer:** Likely no")[1] == 1.0


@pytest.mark.parametrize(
    ("reward", "paid"),
    [("em", 0.0), ("f1", 0.4), ("em_else_f1", 0.4), ({"em_else_f1": 1, "format": 0.1, "selected": -0.05}, 0.45)],
)
def test_the_reward_weighs_the_terms(reward, paid):
    env = make_env(reward=reward)
    env.reset(options={"episode": 0})
    assert env.step("Number 0 is\n**Answer:** about 61 yards")[1] == pytest.approx(paid)


@pytest.mark.parametrize(
    ("reward", "message"),
    [
        ("gold", "reward 'gold' is unknown; choose one of em, f1, em_else_f1 or pass weights of em, f1, em_else_f1"),
        ({"em": 1, "speed": 1}, "reward has no term 'speed'; its terms are em, f1"),
    ],
)
def test_an_unknown_reward_is_refused(reward, message):
    with pytest.raises(ValueError, match=message):
        make_env(reward=reward)


def test_a_reward_has_a_name_for_the_manifest():
    assert get_answer_reward("em").name == "em"
    assert get_answer_reward({"em": 1, "format": 0.1}).name == "1 em + 0.1 format"


# --- starting and stopping ---


def test_only_text_is_an_action_and_only_once():
    env = make_env()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.step("x")
    env.reset(seed=0)
    with pytest.raises(TypeError, match=r"takes text \(str\) as the action, got list"):
        env.step([])
    observation, *_ = env.step("x")
    assert observation["progress"].tolist() == [1, 1]
    with pytest.raises(gymnasium.error.ResetNeeded, match="the episode is over"):
        env.step("x")
    env.close()
    env.close()
    with pytest.raises(gymnasium.error.ResetNeeded, match="call reset"):
        env.observation()


def test_an_episode_with_several_questions_is_refused():
    env = AnswerEnv(EpisodeList("chats", [CHAT]))
    with pytest.raises(ValueError, match="episode 'chat' has 4 questions: an answer environment needs one each"):
        env.reset(seed=0)


def test_a_wrong_setting_is_refused():
    with pytest.raises(TypeError, match="budget"):
        make_env(budget=5)
    with pytest.raises(ValueError, match="render_mode='human': expected None or 'ansi'"):
        make_env(render_mode="human")
    with pytest.raises(ValueError, match="retrieval='dense' needs an encoder"):
        MemoryR1AnswerEnv(source=EpisodeList("chats", [CHAT]), retrieval="dense")


def test_check_env_has_nothing_to_say(tmp_path):
    path = str(write_custom(tmp_path / "chats.jsonl", CHAT))
    env = gymnasium.make(
        "memgym/MemoryR1Answer-v0", source="memgym/Custom-v0", split="test", source_kwargs={"path": path}, memories=4
    )
    check_env(env.unwrapped)
    assert env.reset(seed=1)[0] in env.observation_space


def test_an_endless_source_gives_one_question_of_each_dialogue_always_the_same():
    first, again = (MemoryR1AnswerEnv(source="memgym/Dialogue-v0").task for _ in range(2))
    assert first.size is None
    episodes = [first.episode(index) for index in range(8)]
    assert [again.episode(index) for index in reversed(range(8))] == episodes[::-1]
    assert all(len(episode.questions) == 1 and episode.questions[0].answerable for episode in episodes)


class Meaning:
    """Number 3 means what "Zebra?" asks."""

    name, dimension = "meaning", 2

    def encode(self, texts):
        return np.array([[float("Number 3 " in text or "Zebra" in text), 1.0] for text in texts])


def test_an_encoder_retrieves_by_meaning():
    source = EpisodeList("chats", [CHAT])
    by_meaning = MemoryR1AnswerEnv(source=source, encoder=Meaning(), retrieval="dense")
    assert shown(by_meaning, 2)[30] == number(3)
    assert shown(MemoryR1AnswerEnv(source=source), 2)[30] == number(79)


# --- many at once ---


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP, AutoresetMode.DISABLED])
def test_every_autoreset_mode_gives_what_gymnasium_s_vector_environment_gives(mode):
    ours = make_vector(3, mode, source=EpisodeList("chats", [CHAT]))
    theirs = SyncVectorEnv([make_env] * 3, autoreset_mode=mode)
    assert same(ours.reset(seed=4), theirs.reset(seed=4))
    for texts in (("**Answer:** a", GOLD, ""), (GOLD, GOLD, GOLD), ("", "", "x")):
        mine, reference = ours.step(texts), theirs.step(texts)
        assert same(mine, reference)
        if mode is AutoresetMode.DISABLED and mine[2].any():
            mask = mine[2]
            assert same(ours.reset(options={"reset_mask": mask}), theirs.reset(options={"reset_mask": mask.copy()}))


def test_sampled_actions_are_in_the_batched_space():
    ours = make_vector(2, source=EpisodeList("chats", [CHAT]))
    observations, _ = ours.reset(seed=0)
    assert observations in ours.observation_space
    ours.action_space.seed(0)
    _, rewards, terminations, _, _ = ours.step(ours.action_space.sample())
    assert (rewards.dtype, terminations.tolist()) == (np.float64, [True, True])


def vector(num_envs=3, **config) -> MemoryVectorEnv:
    return MemoryVectorEnv(make_env(**config), num_envs)


def test_rollout_takes_the_text_of_a_decision_as_the_action():
    trajectories = rollout(vector(reward="f1"), Says(GOLD, "**Answer:** 5 yards", "?"), [0, 1, 2])
    assert [t.reward for t in trajectories] == [1.0, 0.5, 0.0]
    assert [t.score for t in trajectories] == [1.0, 0.5, 0.0]
    assert [t.turn_reward(0) for t in trajectories] == [1.0, 0.5, 0.0]
    assert [len(t.steps) for t in trajectories] == [1, 1, 1]
    assert trajectories[0].terms["selected"] == 1.0
    assert trajectories[0].memory_tokens == 60 * 9
    assert trajectories[0].stream_tokens == 80 * 9


def test_a_policy_without_text_answers_nothing():
    (trajectory,) = rollout(vector(1), RandomActions(), [0])
    assert (trajectory.score, trajectory.terms["format"]) == (0.0, 0.0)


def test_trajectories_are_recorded_replayed_and_summarised_like_any_other():
    recorded = rollout(vector(), Says(GOLD, "**Answer:** 5 yards", "?"), [0, 1, 2])
    assert [trajectory_from_row(trajectory_to_row(t)) for t in recorded] == recorded
    replayed = list(replay(vector(), recorded))
    assert [differences(old, new) for old, new in zip(recorded, replayed, strict=True)] == [[], [], []]
    summary = summarise(recorded, floor=None, ceiling=None)
    assert (summary.score, summary.questions, summary.evidence_recall) == (0.5, 3, 1.0)
