"""Damaged and hostile inputs for the project's commands, and what the commands make of them."""
