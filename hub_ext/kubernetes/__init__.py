"""What we make in a cluster."""
