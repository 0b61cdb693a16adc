"""The whole path on one machine, in minutes: warm start, GRPO, evaluation on held-out episodes.

    make demo            or            python -m train.demo

Writes runs/demo/: the two training runs, the evaluation with its records, curve.png and summary.json.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from agents.backbone import load_backbone
from train import evaluate

OUTPUT = Path("runs/demo")
CONFIGS = Path("train/configs")  # the demo is run from the root of a clone
ACCELERATE = Path("train/accelerate")


def main() -> None:
    """Run the three stages and print the table."""
    started = time.monotonic()
    shutil.rmtree(OUTPUT, ignore_errors=True)
    print("Backbone: SmolLM2-135M-Instruct", flush=True)
    load_backbone("smollm2")  # converts the embedded weights once, before several processes want them
    print("Warm start: imitate a noisy oracle, to learn the format", flush=True)
    launch("train.sft", ["--config", str(CONFIGS / "demo_sft.yaml")])
    print("GRPO: learn from the exam's score what is worth remembering", flush=True)
    launch("train.grpo", ["--config", str(CONFIGS / "demo_grpo.yaml")])
    print("Evaluation on held-out episodes", flush=True)
    summary = evaluate.main(["--config", str(CONFIGS / "demo_evaluate.yaml")])
    summary["wall_s"] = time.monotonic() - started
    text = json.dumps(summary, indent=1, ensure_ascii=False)
    (OUTPUT / "summary.json").write_text(text + "\n", encoding="utf-8")
    print(f"\n{summary['wall_s'] / 60:.1f} minutes; {OUTPUT / 'summary.json'}, {OUTPUT / 'curve.png'}")


def launch(module: str, arguments: Sequence[str]) -> None:
    """Run a trainer through `accelerate launch`: one CPU process, or one GPU if there is one.

    Raises:
        SystemExit: The trainer failed; its own messages say why.
    """
    machine = ACCELERATE / ("gpu1.yaml" if torch.cuda.is_available() else "cpu1.yaml")
    command = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(machine)]
    finished = subprocess.run([*command, "-m", module, *arguments], check=False)
    if finished.returncode:
        raise SystemExit(f"error: {module} ended with status {finished.returncode}")


if __name__ == "__main__":
    main()
