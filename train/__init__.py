"""Trainers, run from a clone: `accelerate launch -m train.grpo --config train/configs/demo_grpo.yaml`."""
