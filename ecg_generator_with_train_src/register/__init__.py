"""A real page found in its scan or photo."""
