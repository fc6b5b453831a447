"""A real one-node Kubernetes on this machine, in a folder of its own: `make cluster`, `make cluster-down`."""
