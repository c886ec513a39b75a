"""What the builder writes and the trainer reads."""
