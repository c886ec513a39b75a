"""Scores of predictions and readings: the truth that they are compared with, and the measures."""
