"""An episode as a reader sees it, whole."""

from memgym.memory.operations import Operation
from memgym.rollout import rollout
from memgym.viewer import show_trajectory
from tests.scripted import FakeReader, Scripted, fact, make_vector, tea_story

SCRIPT = [
    [
        fact("Ann bought a red bicycle"),
        Operation("update", "core", "Ann cycles."),
        Operation("insert", "semantic", "Zoe\nsails"),
        Operation("invalid", text="cannot read the line 'Hm'"),
    ],
    [Operation("search", text="bicycle"), Operation("search", "episodic", "boat")],
    [
        Operation("update", "", "Ann lost her bicycle", entry_id=1),
        Operation("update", "core", "Ann walks."),
        Operation("delete", "semantic", entry_id=2),
        Operation("delete", "semantic", entry_id=9),
        Operation("insert", "episodic", quote=1),
        Operation("noop"),
    ],
    [],
]

PAGE = """\
episode story, policy scripted

Chunk 1 of 3  2024-05-01T09:00
  | Ann: I bought a red bicycle in Bern.
  | Ann: Lovely weather again.
  + insert semantic #1: Ann bought a red bicycle
  ~ update core: Ann cycles.
  + insert semantic #2: Zoe sails
  ! invalid  [failed: cannot read the line 'Hm']
  memory 10 tokens, step reward -0.019

Chunk 2 of 3  2024-05-02T09:00
  | Ann: My sister Ines works as a baker.
  | Ann: So it goes.
  ? search: bicycle  [found #1]
  ? search episodic: boat  [found nothing]
  memory 10 tokens, step reward 0.000

Chunk 2 of 3  2024-05-02T09:00
  | Ann: My sister Ines works as a baker.
  | Ann: So it goes.
  ~ update semantic #1: Ann lost her bicycle  [was: Ann bought a red bicycle]
  ~ update core: Ann walks.  [was: Ann cycles.]
  - delete semantic #2: Zoe sails
  - delete semantic #9  [failed: there is no entry 9]
  + insert episodic #3: Ann: My sister Ines works as a baker.
  . noop
  memory 17 tokens, step reward -0.040

Chunk 3 of 3  2024-05-03T09:00
  | Ann: My cat is called Moss.
  | Ann: Good night then.
  (no operation)
  memory 17 tokens, step reward 0.500

Exam
  ok [any] What colour is the bicycle of Ann?
      answered 'red', expected 'red'; squad_f1 1.000
     [any] What is the cat of Ann called?
      answered 'red', expected 'Moss'; squad_f1 0.000

score 0.500, return 0.441 (correctness 0.500, evidence_recall 0.500, compression 0.630)
memory 17 of 46 tokens"""


class BySteps(Scripted):
    """Acts out one list per step, also when a search stays on its chunk."""

    def act(self, observations, episodes):
        self.steps = getattr(self, "steps", -1) + 1
        return super().act([{"progress": [self.steps]}], episodes)


def test_the_page_tells_what_was_read_done_changed_and_asked():
    vector = make_vector(tea_story(), reader=FakeReader(lambda task: "red"))
    (trajectory,) = rollout(vector, BySteps(*SCRIPT), [0])
    assert show_trajectory(trajectory, tea_story()) == PAGE


def test_the_page_can_be_printed_whatever_a_model_wrote():
    vector = make_vector(tea_story(days=1))
    written = [fact("half \ud83d"), Operation("shout", "attic", "\ud83d"), fact("bell \x07\tand \x1b[2J")]
    (trajectory,) = rollout(vector, Scripted(written), [0])
    page = show_trajectory(trajectory, tea_story(days=1))
    assert page.encode("utf-8")
    assert "! shout attic: \\ud83d  [failed: unknown operation 'shout']" in page
    assert "+ insert semantic #1: bell \\x07 and \\x1b[2J" in page
