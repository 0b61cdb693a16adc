from dataclasses import replace

import pytest

from agents import make_agent
from agents.answerer import AnswerAgent
from agents.manager import MemoryManager
from memgym.envs.vector import MemoryVectorEnv
from memgym.exam.reader import ABSTENTION
from memgym.memory.codecs import get_codec
from memgym.memory.operations import Operation
from memgym.replay import ReplayPolicy
from memgym.rollout import rollout
from memgym.tasks.procedural import DialogueGenerator
from memgym.tasks.task import ProceduralTask
from tests.scripted import Scripted, fact, make_episode, make_question, make_vector, tea_story
from train.examples import ExamScribe, answer_examples, examples_from

STORIES = (tea_story("s0"), tea_story("s1", days=2))


class Notebook(ReplayPolicy):
    """Replays, and keeps the observations it was shown."""

    def __init__(self, trajectory):
        super().__init__(trajectory)
        self.observations = []

    def act(self, observations, episodes):
        self.observations += observations
        return super().act(observations, episodes)


def labels(student, example):
    return student.backbone.tokenizer.decode(example.completion_ids)


@pytest.fixture
def student(tiny_backbone):
    return MemoryManager(tiny_backbone)


def oracle_trajectories(env):
    oracle = make_agent("oracle", task=env.task)
    teacher_env = make_vector(*STORIES, **oracle.env_overrides)
    return rollout(teacher_env, oracle, range(len(STORIES)))


def test_every_step_of_the_teacher_is_one_example(student):
    env = make_vector(*STORIES)
    assert len(examples_from(env, student, oracle_trajectories(env))) == 3 + 2


def test_completions_are_the_teachers_operations_in_the_students_codec_and_the_end_token(student):
    script = (
        [fact("The bicycle is red."), Operation("update", "core", "Ann, of Bern.")],
        [],
        [Operation("delete", entry_id=1)],
    )
    teacher = rollout(make_vector(*STORIES), Scripted(*script), [0])
    examples = examples_from(make_vector(*STORIES), student, teacher)
    assert [labels(student, example) for example in examples] == [
        "+ The bicycle is red.\n= Ann, of Bern.<|im_end|>",
        ".<|im_end|>",
        "-1<|im_end|>",
    ]
    assert all(example.completion_ids[-1] == student.backbone.tokenizer.eos_token_id for example in examples)


@pytest.mark.parametrize("codec", ["lines", "mem_alpha", "memory_r1"])
def test_what_the_student_is_taught_means_what_the_teacher_did(tiny_backbone, codec):
    student = MemoryManager(tiny_backbone, codec=codec)
    store = "semantic" if codec == "memory_r1" else "episodic"
    script = ([Operation("insert", store, "Ann: I bought a red bicycle in Bern.")], [], [])
    teacher = rollout(make_vector(*STORIES), Scripted(*script), [0])
    for example, step in zip(examples_from(make_vector(*STORIES), student, teacher), teacher[0].steps, strict=True):
        text = tiny_backbone.tokenizer.decode(example.completion_ids, skip_special_tokens=True)
        parsed = [operation for operation in get_codec(codec).parse(text) if operation.kind != "noop"]
        assert [(o.kind, o.text) for o in parsed] == [(o.kind, o.text) for o in step.decision.operations]


def test_prompts_are_those_of_the_students_environment_not_of_the_teachers(student):
    """The oracle is shown all it holds; this student one entry per store, and it has less room."""
    env = make_vector(*STORIES, shown=1, budget=60)
    teacher = oracle_trajectories(env)
    examples = examples_from(env, student, teacher)
    expected = []
    for trajectory in teacher:
        notebook = Notebook(trajectory)
        rollout(make_vector(*STORIES, shown=1, budget=60), notebook, [trajectory.episode])
        expected += [student.prompt_ids(observation) for observation in notebook.observations]
    assert [example.prompt_ids for example in examples] == expected
    prompts = [student.backbone.tokenizer.decode(example.prompt_ids) for example in examples]
    assert all("Room: " in prompt for prompt in prompts)


def test_a_teacher_that_saw_more_can_teach_a_student_that_sees_one_entry(student):
    generator = DialogueGenerator(chunks=4, turns_per_chunk=4, questions=8, verbosity="short")
    task = ProceduralTask(generator, name="dialogue")
    oracle = make_agent("oracle", task=task)
    teacher = rollout(_over(task, **oracle.env_overrides), oracle, [0, 1])
    shown = _over(task, shown=1)
    examples = examples_from(shown, student, teacher)
    assert len(examples) == 8
    stored = [step.tokens["total"] for trajectory in teacher for step in trajectory.steps]
    assert stored[3] > stored[0] > 0
    for example, step in zip(examples, [step for trajectory in teacher for step in trajectory.steps], strict=True):
        expected = get_codec("lines").render(step.decision.operations)
        assert labels(student, example) == expected + "<|im_end|>"


def test_a_teacher_of_other_episodes_is_refused(student):
    teacher = rollout(make_vector(tea_story("elsewhere")), Scripted([], [], []), [0])
    with pytest.raises(ValueError, match="episode 0 of this environment is 's0', the record is of 'elsewhere'"):
        examples_from(make_vector(*STORIES), student, teacher)


def _over(task, **settings) -> MemoryVectorEnv:
    from memgym.envs.memory import MemoryEnv

    return MemoryVectorEnv(MemoryEnv(task, **settings), 2)


def test_an_answerer_reads_what_the_exam_would_show_it_and_imitates_the_gold_answer(tiny_backbone):
    asked = make_question("What does Ann play?", "anything", answerable=False)
    explained = make_question("Does Ann cycle?", "Likely yes; she bought a bicycle", metric="locomo_3")
    story = make_episode(
        ["I bought a red bicycle."], ["My cat is Moss."], questions=(*tea_story().questions, asked, explained)
    )
    student = AnswerAgent(tiny_backbone)
    scribe = ExamScribe(student.window)
    env = make_vector(story, reader=scribe)
    examples = answer_examples(env, scribe, student, Scripted([fact("The bicycle is red.")], []), [0])
    tokenizer = tiny_backbone.tokenizer
    assert [tokenizer.decode(example.completion_ids) for example in examples] == [
        "red<|im_end|>",
        "Moss<|im_end|>",
        f"{ABSTENTION}<|im_end|>",
        "Likely yes<|im_end|>",
    ]
    prompts = [tokenizer.decode(example.prompt_ids) for example in examples]
    assert "The bicycle is red." in prompts[0]
    assert "What colour is the bicycle of Ann?" in prompts[0]
    assert "Moss" not in prompts[1]  # the teacher did not write it down


def test_an_answerer_that_distils_is_taught_to_open_with_the_memories_that_hold_the_evidence(tiny_backbone):
    story = make_episode(
        ["I bought a red bicycle.", "It rains."], ["My cat is Moss."], questions=tea_story().questions[:1]
    )
    colour = make_question("What colour is the bicycle?", "red", story.turns[0].id)
    guess = make_question("Who is Ola?", "a bear", story.turns[2].id)
    story = replace(story, questions=(colour, guess))
    student = AnswerAgent(tiny_backbone, distil=True)
    scribe = ExamScribe(student.window)
    env = make_vector(story, reader=scribe, retrieve=5)
    policy = Scripted([Operation("insert", "episodic", quote=1), Operation("insert", "episodic", quote=2)], [])
    examples = answer_examples(env, scribe, student, policy, [0])
    assert [labels(student, example) for example in examples] == [
        "I bought a\n**Answer:** red<|im_end|>",
        "**Answer:** a bear<|im_end|>",  # nothing in the memory tells
    ]


def test_a_teacher_of_episodic_entries_teaches_a_codec_that_knows_the_semantic_store_only(tiny_backbone):
    student = MemoryManager(tiny_backbone, codec="memory_r1")
    script = ([fact("The bicycle is red.")], [Operation("update", "episodic", "It is blue.", 1)], [])
    teacher = rollout(make_vector(*STORIES), Scripted(*script), [0])
    examples = examples_from(make_vector(*STORIES), student, teacher)
    prompts = [tiny_backbone.tokenizer.decode(example.prompt_ids) for example in examples]
    assert "The bicycle is red." in prompts[1]
    assert "It is blue." in prompts[2]
    assert '"event": "UPDATE"' in labels(student, examples[1])
