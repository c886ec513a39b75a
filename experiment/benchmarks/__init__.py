"""What benchmark.py measures: speeds as ratios within one run, and where the reading of real pages loses."""
