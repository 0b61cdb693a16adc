"""The tool environment: exactly its tools are public, and calls give what the gymnasium environment gives."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys

import gymnasium
import pytest

from memgym.envs.tools import MemoryToolEnv, lost_results, tool_env_factory
from memgym.memory.operations import Operation

TOOLS = {"next_chunk", "insert_memory", "update_memory", "delete_memory", "search_memory"}
DIALOGUE = {"chunks": 3, "turns_per_chunk": 2, "questions": 4, "verbosity": "short"}


def make(**kwargs):
    return tool_env_factory("memgym/Dialogue-v0", **{"budget": 200, "dialogue": DIALOGUE, **kwargs})()


def public_functions(cls):
    """The members TRL looks at when it collects tools."""
    return {name for name, _ in inspect.getmembers(cls, predicate=inspect.isfunction) if not name.startswith("_")}


def episode(index=0):
    return gymnasium.make("memgym/Dialogue-v0", dialogue=DIALOGUE).unwrapped.task.episode(index)


# --- What the model is offered ---------------------------------------------------------------------------------------


def test_the_tools_are_exactly_the_intended_ones():
    assert public_functions(MemoryToolEnv) - {"reset", "get_reward"} == TOOLS


def test_every_tool_has_a_schema_that_describes_all_its_arguments():
    from transformers.utils import get_json_schema

    env = make()
    schemas = {name: get_json_schema(getattr(env, name))["function"] for name in TOOLS}
    assert {schema["name"] for schema in schemas.values()} == TOOLS
    insert = schemas["insert_memory"]["parameters"]
    assert insert["required"] == ["store", "content"]
    assert insert["properties"]["store"]["enum"] == ["episodic", "semantic"]
    assert schemas["update_memory"]["parameters"]["properties"]["entry_id"]["type"] == "integer"
    assert schemas["next_chunk"]["parameters"]["properties"] == {}


def test_importing_the_tools_loads_no_torch_and_no_trl():
    code = "import sys, memgym.envs.tools; sys.exit(bool({'torch', 'transformers', 'trl'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# --- Reading the stream ----------------------------------------------------------------------------------------------


def test_reset_gives_the_first_chunk_apart_from_the_prompt_and_ignores_other_columns():
    env = make()
    text = env.reset(episode=4, prompt=[{"role": "user", "content": "Remember."}], seed=1)
    first = episode(4).chunks[0]
    assert text.startswith("\n\nPart 1 of 3, " + first.timestamp)
    assert first.text in text
    assert "Tokens left: core 512, total 200" in text


def test_chunks_arrive_in_order_and_then_the_memory_is_closed():
    env = make()
    texts = [env.reset(episode=0), env.next_chunk(), env.next_chunk()]
    assert all(chunk.text in text for chunk, text in zip(episode().chunks, texts, strict=True))
    assert "closed" in env.next_chunk()
    assert "closed" in env.insert_memory("semantic", "too late")
    assert env.bank.entries() == []
    assert env.chunks_read == 3


def test_questions_are_shown_only_when_asked_for():
    question = episode().questions[0].text
    assert question not in make().reset(episode=0)
    assert question in make(question_visible=True).reset(episode=0)


def test_a_reset_starts_from_an_empty_memory():
    env = make()
    env.reset(episode=0)
    env.insert_memory("semantic", "Ana likes tea.")
    env.get_reward()
    env.reset(episode=1)
    assert env.bank.entries() == []
    assert (env.results, env.terms, env.exam, env.chunks_read) == ([], {}, None, 1)


# --- Operations ------------------------------------------------------------------------------------------------------


def test_operations_change_the_bank_and_say_what_they_did():
    env = make()
    env.reset(episode=0)
    assert env.insert_memory("semantic", "Ana likes tea.") == "Stored as entry 1. Tokens left: core 512, total 196"
    assert env.update_memory("core", "Ana and Bo talk.") == "Stored as core. Tokens left: core 507, total 191"
    assert env.update_memory("semantic", "Ana loves tea.", 1).startswith("Stored as entry 1.")
    assert env.search_memory("tea").endswith("Ana loves tea.")
    assert env.search_memory("tea", "episodic") == "Nothing found."
    assert env.delete_memory("semantic", 1).startswith("Removed.")
    assert env.bank.entries() == []
    assert env.bank.core == "Ana and Bo talk."


def test_an_entry_keeps_the_time_and_the_turns_of_the_chunk_it_was_written_at():
    env = make()
    env.reset(episode=0)
    env.next_chunk()
    chunk = episode().chunks[1]
    env.insert_memory("episodic", chunk.turns[0].line)
    env.insert_memory("episodic", "Something else entirely.", "2020-02-02")
    verbatim, dated = env.bank.entries()
    assert verbatim.timestamp == chunk.timestamp
    assert chunk.turns[0].id in verbatim.sources
    assert verbatim.created_step == 1
    assert dated.timestamp == "2020-02-02"


@pytest.mark.parametrize(
    "call",
    [
        lambda env: env.insert_memory("core", "text"),
        lambda env: env.insert_memory("nowhere", "text"),
        lambda env: env.insert_memory("semantic", ["a", "list"]),
        lambda env: env.insert_memory({"store": 1}, "text"),
        lambda env: env.insert_memory("semantic", "Ana likes tea."),
        lambda env: env.insert_memory("semantic", "word " * 300),
        lambda env: env.insert_memory("semantic", None),
        lambda env: env.insert_memory("semantic", "half a pair \ud800"),
        lambda env: env.update_memory("semantic", "text"),
        lambda env: env.update_memory("semantic", "text", "first"),
        lambda env: env.delete_memory("semantic", 99),
        lambda env: env.search_memory(""),
    ],
)
def test_senseless_calls_fail_with_a_reason_and_change_nothing(call):
    env = make()
    env.reset(episode=0)
    env.insert_memory("semantic", "Ana likes tea.")
    before = env.bank.state_hash()
    assert call(env).startswith("Failed: ")
    assert env.bank.state_hash() == before
    assert env.bank.journal()[-1].status == "failed"


def test_ids_are_read_as_leniently_as_in_text():
    env = make()
    env.reset(episode=0)
    env.insert_memory("semantic_memory", "Ana likes tea.")
    assert env.delete_memory("semantic", "#1").startswith("Removed.")


def test_operations_beyond_the_limit_of_a_chunk_fail():
    env = make(max_operations=1)
    env.reset(episode=0)
    assert env.insert_memory("semantic", "one").startswith("Stored")
    assert env.insert_memory("semantic", "two").startswith("Failed: only 1")
    env.next_chunk()
    assert env.insert_memory("semantic", "three").startswith("Stored")


# --- Reward ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", ["memgym", "mem_alpha", "memory_r1"])
def test_the_same_operations_earn_what_the_gymnasium_environment_pays(reward):
    tools = make(reward=reward)
    gym = gymnasium.make("memgym/Dialogue-v0", budget=200, dialogue=DIALOGUE, reward=reward)
    tools.reset(episode=7)
    gym.reset(options={"episode": 7})
    total = 0.0
    for chunk in episode(7).chunks:
        operations = [Operation("insert", "episodic", turn.line) for turn in chunk.turns]
        operations.append(Operation("insert", "core", "refused"))
        for operation in operations:
            tools.insert_memory(operation.store, operation.text)
        total += gym.step(operations)[1]
        tools.next_chunk()
    assert tools.bank.state_hash() == gym.unwrapped.bank.state_hash()
    assert tools.get_reward() == pytest.approx(total, abs=1e-12)
    assert tools.exam.score > 0


def test_stopping_early_is_graded_like_doing_nothing_with_the_rest():
    early, late = make(), make()
    for env in (early, late):
        env.reset(episode=7)
        for turn in episode(7).chunks[0].turns:
            env.insert_memory("episodic", turn.line)
    for _ in range(3):
        late.next_chunk()
    assert early.get_reward() == late.get_reward()
    assert len(early.exam.answers) == len(episode(7).questions)
    assert (early.chunks_read, late.chunks_read) == (1, 3)


def test_the_exam_is_held_once_and_closes_the_memory():
    env = make()
    env.reset(episode=0)
    env.insert_memory("core", "refused")
    reward = env.get_reward()
    assert env.terms["failed"] == 1 / 3, "one of three chunks"
    assert "closed" in env.insert_memory("semantic", "too late")
    assert env.get_reward() == reward


# --- Mistakes of the programmer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [{"prompt": "x"}, {"episode": "3"}])
def test_a_row_without_an_episode_is_an_error_that_names_the_column(row):
    with pytest.raises(ValueError, match="'episode' of the dataset's row"):
        make().reset(**row)


def test_calls_before_the_first_reset_are_errors():
    with pytest.raises(gymnasium.error.ResetNeeded, match="reset"):
        make().next_chunk()


def test_only_memory_environments_become_tools():
    with pytest.raises(TypeError, match="CliffWalking"):
        tool_env_factory("CliffWalking-v1")


def test_the_factory_makes_independent_environments_over_one_task():
    factory = tool_env_factory("memgym:memgym/Dialogue-v0", dialogue=DIALOGUE)
    one, two = factory(), factory()
    one.reset(episode=0)
    two.reset(episode=0)
    one.insert_memory("semantic", "Ana likes tea.")
    assert two.bank.entries() == []


def test_the_factory_can_be_sent_to_another_process():
    env = pickle.loads(pickle.dumps(tool_env_factory("memgym/Dialogue-v0", dialogue=DIALOGUE)))()
    assert episode().chunks[0].text in env.reset(episode=0)


# --- Under the stock trainer -----------------------------------------------------------------------------------------


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Runs one step of TRL's GRPO with a tiny random model; gives the log and each rollout's environment and messages.

    A random model calls no tool, so its replies can be read from scripts instead, one list of replies per rollout.
    """
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer
    from trl.chat_template_utils import qwen3_chat_template

    from agents.tiny import build_tiny

    class ScriptedTrainer(GRPOTrainer):
        def _generate_single_turn(self, prompt_ids, *args, **kwargs):
            if not self.scripts:
                return super()._generate_single_turn(prompt_ids, *args, **kwargs)
            going_on = [script for script in self.scripts if script]
            assert len(going_on) == len(prompt_ids)
            return [tokenizer(script.pop(0))["input_ids"] for script in going_on], None

    model, tokenizer = build_tiny("tiny-qwen3")
    tokenizer.chat_template = qwen3_chat_template
    rollouts = []

    def lost(environments, completions, **columns):
        rollouts.extend(zip(environments, completions, strict=True))
        return [float(lost_results(*rollout)) for rollout in rollouts]

    def run(scripts, max_completion_length):
        trainer = ScriptedTrainer(
            model=model,
            processing_class=tokenizer,
            reward_funcs=lost,
            train_dataset=Dataset.from_list([{"prompt": [{"role": "user", "content": "Remember."}], "episode": 7}]),
            environment_factory=tool_env_factory("memgym/Dialogue-v0", budget=200, dialogue=DIALOGUE),
            args=GRPOConfig(
                output_dir=str(tmp_path),
                max_steps=1,
                num_generations=2,
                per_device_train_batch_size=2,
                max_completion_length=max_completion_length,
                learning_rate=0.01,
                logging_steps=1,
                use_cpu=True,
                bf16=False,
                gradient_checkpointing=False,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
        )
        trainer.scripts = scripts
        trainer.train()
        return trainer.state.log_history[0], rollouts

    return run


def tool_call(tool, **arguments):
    return f'<tool_call>\n{{"name": "{tool}", "arguments": {json.dumps(arguments)}}}\n</tool_call><|im_end|>'


DONE = "Done.<|im_end|>"


def test_the_stock_trainer_takes_a_step_with_the_tools_as_its_environment(train):
    log, rollouts = train([], max_completion_length=16)
    assert log["rewards/MemoryToolEnv/mean"] == pytest.approx(rollouts[0][0].get_reward())
    assert log["tools/failure_frequency"] == 0
    assert [env.chunks_read for env, _ in rollouts] == [1, 1]


def test_a_model_that_calls_tools_is_paid_for_what_it_stored(train):
    turns = [turn.line for chunk in episode(7).chunks for turn in chunk.turns]
    keeps = [tool_call("insert_memory", store="episodic", content=turn) for turn in turns]
    log, rollouts = train(
        [[*keeps, DONE], [tool_call("next_chunk"), tool_call("delete_memory", store="core"), DONE]], 4000
    )
    (keeper, transcript), (idler, _) = rollouts
    assert len(keeper.bank.entries()) == len(turns)
    assert (keeper.chunks_read, idler.chunks_read) == (1, 2)
    assert keeper.get_reward() > idler.get_reward()
    assert [message["content"] for message in transcript if message["role"] == "tool"] == keeper.results
    assert log["rewards/MemoryToolEnv/std"] > 0
    assert log["rewards/lost/mean"] == 0
    assert log["grad_norm"] > 0


def test_a_result_beyond_the_completion_limit_is_lost_from_the_transcript_but_done(train):
    keep = tool_call("insert_memory", store="semantic", content="Ana likes tea.")
    log, rollouts = train([[keep], [keep]], max_completion_length=len(keep))
    for env, transcript in rollouts:
        assert [message["role"] for message in transcript] == ["assistant"]
        assert len(env.bank.entries()) == 1
    assert log["rewards/lost/mean"] == 1
