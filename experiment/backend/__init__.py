"""Where the network runs: the interface, the launcher, plain torch and XLA."""

import os

# torch's threads wait for one another after every operation. By default they wait by computing nothing as fast as they
# can, and on a machine with other work two threads then take ten times as long as one. This has to be set before torch
# is loaded, which the modules of this package do.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
