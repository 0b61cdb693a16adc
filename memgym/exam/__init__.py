"""The exam: questions, readers that answer them from memory alone, and metrics."""
