"""What the language models are told. One file per prompt."""
