"""The embedded default: the whole platform on one machine, started by `hub-ext up`."""
