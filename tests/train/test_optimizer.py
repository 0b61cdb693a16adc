import pytest
import torch
from transformers import Trainer, TrainingArguments

from train.optimizer import TableGroups, parameter_groups


class Grafted(torch.nn.Module):
    """A table where Engram keeps its own, and weights of three other kinds."""

    def __init__(self):
        super().__init__()
        self.engram = torch.nn.Module()
        self.engram.table = torch.nn.Embedding(8, 2)
        self.engram.key_proj = torch.nn.Linear(2, 2, bias=False)
        self.lora_A = torch.nn.Linear(2, 2, bias=True)
        self.frozen = torch.nn.Linear(2, 2).requires_grad_(False)

    def forward(self, ids):
        return self.lora_A(self.engram.key_proj(self.engram.table(ids)))


@pytest.fixture
def model():
    return Grafted()


def test_tables_learn_five_times_as_fast_and_do_not_decay(model):
    rest, tables = parameter_groups(model, 1e-3, 0.1)
    assert (rest["lr"], rest["weight_decay"]) == (1e-3, 0.1)
    assert (tables["lr"], tables["weight_decay"]) == (5e-3, 0.0)
    assert tables["params"] == [model.engram.table.weight]
    assert {id(p) for p in rest["params"]} == {
        id(p) for p in (model.engram.key_proj.weight, model.lora_A.weight, model.lora_A.bias)
    }


def test_without_a_trainable_table_there_is_one_group(model):
    model.engram.table.requires_grad_(False)
    assert len(parameter_groups(model, 1e-3, 0.1)) == 1


class Stock(TableGroups, Trainer):
    pass


def test_a_trainer_s_own_groups_are_divided_and_scheduled_alike(model, tmp_path):
    arguments = TrainingArguments(str(tmp_path), learning_rate=1e-3, weight_decay=0.1, use_cpu=True, report_to="none")
    trainer = Stock(model, arguments)
    trainer.create_optimizer_and_scheduler(num_training_steps=10)
    rates = {id(p): (g["lr"], g["weight_decay"]) for g in trainer.optimizer.param_groups for p in g["params"]}
    assert rates == {
        id(model.engram.table.weight): (5e-3, 0.0),
        id(model.engram.key_proj.weight): (1e-3, 0.1),
        id(model.lora_A.weight): (1e-3, 0.1),
        id(model.lora_A.bias): (1e-3, 0.0),
    }
    for _ in range(5):
        trainer.optimizer.step()
        trainer.lr_scheduler.step()
    assert {g["lr"] for g in trainer.optimizer.param_groups} == {0.5e-3, 2.5e-3}


def test_only_rows_that_were_read_move(model):
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-2, 0.1))
    before = model.engram.table.weight.detach().clone()
    model(torch.tensor([1, 3])).square().sum().backward()
    optimizer.step()
    moved = (model.engram.table.weight != before).any(dim=1)
    assert moved.nonzero()[:, 0].tolist() == [1, 3]
