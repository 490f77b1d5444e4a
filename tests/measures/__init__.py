"""Tests of the vocabulary, its statistics and its verdicts."""
