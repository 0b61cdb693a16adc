"""The size and place of an Engram."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # For pretraining, as published. Not the identity at init: the tables already say something.
    "paper": {"conv": True, "table_init_std": 0.02},
    # For a model that is trained already: an exact no-op until a table row is written.
    "retrofit": {},
}
DEVICES = ("model", "host")

_LEAST = {"max_order": 2, "heads": 1, "row_dim": 1, "rows": 2, "conv_kernel": 1, "seed": 0}


@dataclass(frozen=True)
class EngramConfig:
    """What is attached to a model (arXiv 2601.07372, section 2). The defaults are the preset "retrofit".

    A table has about rows x heads x (max_order - 1) rows: 321k rows and 5.1M numbers per layer by default.
    """

    layers: tuple[int, ...] | None = None  # 0-based, rising; None: the second one and the one before the middle
    max_order: int = 3  # n-grams of 2 ... max_order tokens
    heads: int = 8  # hashes, and so rows, per order
    row_dim: int = 16  # numbers per row
    rows: int = 20_000  # rows per head: the primes of the hash start here
    conv: bool = False  # short causal convolution over the gated values
    conv_kernel: int = 4  # its taps; they stand max_order tokens apart
    seed: int = 0  # of the hash and of the initial weights
    table_init_std: float = 0.0  # 0: a zero table
    device: str = "model"  # "host": the tables stay in CPU memory, wherever the model is

    def __post_init__(self) -> None:
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not _is_whole(value) or value < least:
                raise ValueError(f"Engram {name}={value!r}: expected a whole number of at least {least}")
        if not isinstance(self.conv, bool):
            raise ValueError(f"Engram conv={self.conv!r}: expected true or false")
        if not isinstance(self.table_init_std, int | float) or not self.table_init_std >= 0:
            raise ValueError(f"Engram table_init_std={self.table_init_std!r}: expected a number of at least 0")
        if self.device not in DEVICES:
            raise ValueError(f"Engram device={self.device!r}: expected one of {', '.join(DEVICES)}")
        if self.layers is not None:
            if not isinstance(self.layers, list | tuple) or not all(_is_whole(layer) for layer in self.layers):
                raise ValueError(f"Engram layers={self.layers!r}: expected a list of layer numbers")
            object.__setattr__(self, "layers", tuple(self.layers))  # JSON and YAML have lists only
            if list(self.layers) != sorted(set(self.layers)) or not self.layers or min(self.layers) < 0:
                raise ValueError(f"Engram layers={self.layers}: expected rising 0-based layer numbers")

    @classmethod
    def preset(cls, name: str, **changes: Any) -> EngramConfig:
        """A named configuration, with changes.

        Args:
            name: "paper" (tables of std 0.02, convolution) or "retrofit" (zero tables, no convolution). Sizes are not
                part of a preset: the published ones (2,262,400 rows of 80 numbers per head) fit few machines.
            changes: Fields to set.

        Raises:
            ValueError: No such preset, or no such field.
        """
        if name not in PRESETS:
            raise ValueError(f"Engram preset {name!r}: expected one of {', '.join(PRESETS)}")
        return cls.from_dict({**PRESETS[name], **changes})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> EngramConfig:
        """The configuration with these fields, as read from JSON or YAML.

        Raises:
            ValueError: A key is no field, or a value is out of range.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ValueError(f"Engram has no setting {', '.join(unknown)}: choose among {', '.join(known)}")
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """What ``from_dict`` reads, fit for JSON."""
        return {**asdict(self), "layers": None if self.layers is None else list(self.layers)}

    @property
    def heads_total(self) -> int:
        """Rows read per token and layer."""
        return (self.max_order - 1) * self.heads

    @property
    def memory_dim(self) -> int:
        """Numbers read per token and layer."""
        return self.heads_total * self.row_dim

    @property
    def reach(self) -> int:
        """How many tokens back a layer looks."""
        return max(self.max_order - 1, (self.conv_kernel - 1) * self.max_order if self.conv else 0)

    def resolve(self, layer_count: int) -> EngramConfig:
        """The same configuration with the layers of a model of ``layer_count`` layers written out.

        Raises:
            ValueError: A layer the model does not have.
        """
        layers = self.layers
        if layers is None:
            layers = tuple(sorted({min(1, layer_count - 1), max(layer_count // 2 - 1, 0)}))
        if layers[-1] >= layer_count:
            raise ValueError(f"Engram layers={layers}: the model has layers 0 to {layer_count - 1} only")
        return replace(self, layers=layers)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
