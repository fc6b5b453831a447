"""How a launch is started, found again and ended."""
