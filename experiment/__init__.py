"""The learning: configuration, data, network, training and prediction."""

import os

# torch's threads wait for one another after every operation. By default they keep their cores busy while they wait, and
# on a machine with other work two threads then take ten times as long as one. This must be set before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
