"""How the extractive reader takes questions, memory texts and answers apart."""
