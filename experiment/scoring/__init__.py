"""What predictions and readings are compared with, and by which measures."""
