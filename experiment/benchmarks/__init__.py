"""The measurements of benchmark.py: speeds as ratios within one run, and where the reading of real pages loses."""
