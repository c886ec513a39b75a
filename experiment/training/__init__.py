"""The training loop and all that it needs: pages, crops, losses, optimizer, the run's folder, its processes."""
