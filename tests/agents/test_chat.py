import pytest

from agents import chat


@pytest.fixture
def type_in(monkeypatch, capsys):
    """Run the program with these lines as its input; what it printed."""

    def run(lines, *argv):
        typed = iter(lines)

        def read(prompt):
            line = next(typed, EOFError)
            if isinstance(line, str):
                return line
            raise line

        monkeypatch.setattr("builtins.input", read)
        chat.main([str(word) for word in argv])
        return capsys.readouterr().out.split("\n")

    return run


def test_lines_are_remembered_and_questions_answered_across_two_runs(type_in, tmp_path):
    bank = tmp_path / "ann.db"
    first = type_in(["My cat is called Moss.", " ", "/quit", "never read"], "--bank", bank, "--name", "Ann")
    assert first[0] == f"0 entries in {bank}; end a line with ? to ask"
    assert first[1:3] == ["  remembered: Ann: My cat is called Moss.", "  (nothing to remember)"]
    second = type_in(["What is the cat of Ann called?", "/memory"], "--bank", bank)
    assert second[0].startswith("1 entries")
    assert second[1] == "Moss"
    assert second[2] == second[3]
    assert second[2].startswith("  #1 2") and second[2].endswith("Ann: My cat is called Moss.")


def test_what_is_refused_and_what_is_forgotten_is_said(type_in, tmp_path):
    refused = type_in(["I ski.", "I ski."], "--bank", tmp_path / "a.db")
    assert refused[2] == "  known already: User: I ski."
    out = type_in(["I ski.", "I swim."], "--bank", tmp_path / "b.db", "--budget", 6)
    assert out[1:4] == ["  remembered: User: I ski.", "  forgot: User: I ski.", "  remembered: User: I swim."]


def test_what_begins_with_a_slash_is_a_command_and_never_remembered(type_in, tmp_path):
    out = type_in(["/help", " /memory ", "/why?"], "--bank", tmp_path / "ann.db")
    known = ["  /memory: all that is remembered", "  /quit: the end"]
    assert out[1:-2] == ["  no such command: /help", *known, "  (empty)", "  no such command: /why?", *known]


@pytest.mark.parametrize("end", ["/quit", " /quit ", EOFError, KeyboardInterrupt])
def test_every_way_to_end_closes_the_file(type_in, tmp_path, end):
    bank = tmp_path / "ann.db"
    first = type_in(["I ski.", end, "never read"], "--bank", bank)
    assert first[1] == "  remembered: User: I ski."
    assert "".join(first[2:]) == ""
    assert type_in(["/memory"], "--bank", bank)[0].startswith("1 entries")


def test_an_answer_that_is_interrupted_ends_the_program(type_in, tmp_path, monkeypatch):
    def interrupt(self, question):
        raise KeyboardInterrupt

    monkeypatch.setattr(chat.MemoryAssistant, "answer", interrupt)
    assert len(type_in(["Who?", "never read"], "--bank", tmp_path / "ann.db")) == 3


def test_an_encoder_is_named_as_a_model_is(type_in, tmp_path):
    assert chat.settings_of(chat.parse_arguments([])) == {"budget": None}
    named = chat.parse_arguments(["--encoder", "minilm", "--budget", "9"])
    assert chat.settings_of(named) == {"budget": 9, "encoder": "agents.encoder:TextEncoder@minilm"}


def test_an_empty_memory_is_said_to_be_empty(type_in, tmp_path):
    assert type_in(["/memory"], "--bank", tmp_path / "ann.db")[1] == "  (empty)"


@pytest.mark.parametrize(
    ("words", "adapters"),
    [
        ([], None),
        (["runs/memlora"], "runs/memlora"),
        (["manager=runs/a", "answer=runs/b"], {"manager": "runs/a", "answer": "runs/b"}),
    ],
)
def test_adapters_are_one_folder_or_named_ones(words, adapters):
    assert chat.adapters_of(words) == adapters


def test_a_mistake_ends_the_program_with_one_line(type_in, tmp_path):
    with pytest.raises(SystemExit, match="error: --adapter: expected one folder, or NAME=FOLDER for each adapter"):
        type_in([], "--bank", tmp_path / "a.db", "--adapter", "runs/memlora", "--adapter", "answer=x")
    with pytest.raises(SystemExit, match="error: no adapters in nowhere"):
        type_in([], "--bank", tmp_path / "a.db", "--adapter", "nowhere")
