import json

import pytest

from agents.engram import EngramConfig


def test_retrofit_is_the_default_and_paper_adds_the_convolution_and_a_filled_table():
    assert EngramConfig.preset("retrofit") == EngramConfig()
    paper = EngramConfig.preset("paper", rows=5000)
    assert (paper.conv, paper.table_init_std, paper.max_order, paper.heads, paper.rows) == (True, 0.02, 3, 8, 5000)


def test_a_configuration_survives_json():
    config = EngramConfig(layers=(1, 4), conv=True, device="host")
    assert EngramConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config
    assert EngramConfig.from_dict(json.loads(json.dumps(EngramConfig().to_dict()))) == EngramConfig()


@pytest.mark.parametrize(("depth", "layers"), [(30, (1, 14)), (28, (1, 13)), (4, (1,)), (2, (0, 1)), (1, (0,))])
def test_the_default_layers_are_the_second_and_the_one_before_the_middle(depth, layers):
    assert EngramConfig().resolve(depth).layers == layers


def test_sizes_derived_from_the_defaults():
    config = EngramConfig()
    assert (config.heads_total, config.memory_dim, config.reach) == (16, 256, 2)
    assert EngramConfig(conv=True).reach == 9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"row": 3, "head": 1}, "^Engram has no setting head, row: choose among layers, max_order, heads"),
        ({"rows": 1}, "^Engram rows=1: expected a whole number of at least 2$"),
        ({"heads": "8"}, "^Engram heads='8': expected a whole number"),
        ({"max_order": 1}, "^Engram max_order=1: expected a whole number of at least 2$"),
        ({"layers": [4, 1]}, r"^Engram layers=\(4, 1\): expected rising 0-based layer numbers$"),
        ({"layers": []}, r"^Engram layers=\(\): expected rising"),
        ({"device": "cuda"}, "^Engram device='cuda': expected one of model, host$"),
        ({"table_init_std": -1.0}, "^Engram table_init_std=-1.0: expected a number of at least 0$"),
        ({"table_init_std": "little"}, "^Engram table_init_std='little': expected a number"),
        ({"heads": True}, "^Engram heads=True: expected a whole number"),
        ({"seed": -1}, "^Engram seed=-1: expected a whole number of at least 0$"),
        ({"conv": "no"}, "^Engram conv='no': expected true or false$"),
        ({"layers": 3}, "^Engram layers=3: expected a list of layer numbers$"),
        ({"layers": ["1"]}, r"^Engram layers=\['1'\]: expected a list of layer numbers$"),
    ],
)
def test_a_wrong_setting_is_one_clear_line(values, message):
    with pytest.raises(ValueError, match=message):
        EngramConfig.from_dict(values)


def test_an_unknown_preset_and_a_layer_the_model_lacks_are_refused():
    with pytest.raises(ValueError, match=r"^Engram preset 'demo': expected one of paper, retrofit$"):
        EngramConfig.preset("demo")
    with pytest.raises(ValueError, match=r"^Engram layers=\(1, 30\): the model has layers 0 to 29 only$"):
        EngramConfig(layers=(1, 30)).resolve(30)
