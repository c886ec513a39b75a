"""The network, and its weights in files."""
