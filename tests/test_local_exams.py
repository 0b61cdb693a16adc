import pytest

from memgym.exam.metrics import score
from memgym.local_exams import due_questions, worth_after_steps
from memgym.memory.operations import Operation
from memgym.rollout import rollout
from tests.scripted import FakeReader, Scripted, fact, make_episode, make_question, make_vector

LINES = (["The bike is red."], ["The cat is Moss."], ["The bike is blue now."])
QUESTIONS = (
    make_question("bike colour before?", "red", "t0"),
    make_question("cat?", "Moss", "t1"),
    make_question("colours of the bike?", "blue", "t0", "t2"),
    make_question("sister?", "no idea"),  # asks for what was never said
)
EPISODE = make_episode(*LINES, questions=QUESTIONS)


def own_metric(question, prediction):
    return score(question.metric, prediction, question.answers)


def recall(task):
    """The last word of the text that names what is asked for."""
    said = [entry.text for entry in task.context if task.question.split()[0].rstrip("?") in entry.text]
    return said[0].rstrip(".").split()[-1] if said else "no idea"


@pytest.mark.parametrize(("chunk", "due"), [(0, [0]), (1, [0, 1]), (2, [0, 1, 2])])
def test_a_question_is_due_once_all_its_evidence_has_been_read(chunk, due):
    assert due_questions(EPISODE, chunk) == [QUESTIONS[number] for number in due]


def played(*script, reader=None, episode=EPISODE, **config):
    reader = reader or FakeReader(recall)
    env = make_vector(episode, reader=reader, **config)
    (trajectory,) = rollout(env, Scripted(*script), [0])
    reader.batches.clear()
    return env, trajectory, reader


def test_the_worth_grows_with_what_is_due_and_known():
    """Of four questions: the bike's colour is known at once, the cat never, and the last is answered at the end."""
    env, trajectory, _ = played([fact("bike was red")], [], [])
    assert worth_after_steps(env, [trajectory], own_metric) == [[0.25, 0.25, trajectory.score]]
    assert trajectory.score == 0.5


def test_what_is_forgotten_is_lost_at_the_step_that_forgot_it():
    env, trajectory, _ = played([fact("bike was red")], [Operation("delete", "semantic", entry_id=1)], [])
    assert worth_after_steps(env, [trajectory], own_metric) == [[0.25, 0.0, 0.25]]


def test_the_last_value_is_the_final_exams_and_is_not_graded_twice():
    env, trajectory, reader = played([fact("bike was red"), fact("cat is Moss")], [], [])
    values = worth_after_steps(env, [trajectory], own_metric)
    assert values[0][-1] == trajectory.score == 0.75
    assert [[task.question for task in batch] for batch in reader.batches] == [
        [QUESTIONS[0].text, QUESTIONS[0].text, QUESTIONS[1].text]  # all steps in one batch, the last one not among them
    ]


def test_many_trajectories_make_one_batch_and_keep_their_values_apart():
    reader = FakeReader(recall)
    env = make_vector(EPISODE, num_envs=2, reader=reader)
    knows = rollout(env, Scripted([fact("bike was red")], [], []), [0, 0])
    knows_not = rollout(env, Scripted([], [], []), [0])
    reader.batches.clear()
    values = worth_after_steps(env, [knows[0], knows_not[0], knows[1]], own_metric)
    assert values == [[0.25, 0.25, 0.5], [0.0, 0.0, 0.25], [0.25, 0.25, 0.5]]
    assert len(reader.batches) == 1


def test_a_step_that_searches_is_examined_on_the_chunk_it_stays_on():
    class Searcher(Scripted):
        calls = 0

        def act(self, observations, episodes):
            self.calls += 1
            return (
                super().act(observations, episodes)
                if self.calls > 1
                else Scripted([Operation("search", text="bike")] * 1).act(observations, episodes)
            )

    reader = FakeReader(recall)
    env = make_vector(EPISODE, reader=reader)
    (trajectory,) = rollout(env, Searcher([fact("bike was red")], [], []), [0])
    assert [step.chunk for step in trajectory.steps] == [0, 0, 1, 2]
    assert worth_after_steps(env, [trajectory], own_metric) == [[0.0, 0.25, 0.25, 0.5]]


def test_an_exam_without_questions_is_worth_nothing():
    env, trajectory, _ = played([], [], [], episode=make_episode(*LINES))
    assert worth_after_steps(env, [trajectory], own_metric) == [[0.0, 0.0, 0.0]]


def test_trajectories_of_another_environment_are_refused():
    _, trajectory, _ = played([], [], [])
    other = make_vector(make_episode(*LINES, id_="another"), reader=FakeReader())
    with pytest.raises(ValueError, match="the record is of 'story'"):
        worth_after_steps(other, [trajectory], own_metric)
