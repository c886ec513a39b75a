"""Where the network runs: the interface, the launcher, plain torch and XLA."""
