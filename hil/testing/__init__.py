"""Judging a run: evidence from the bench, sentences about it, checks that always hold, and planted defects."""
