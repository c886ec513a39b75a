"""Signals read back from labelled pages; nothing here imports torch."""
