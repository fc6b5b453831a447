"""HTTP: authenticates, parses, calls one function, renders. Here, and in `spawner/` alone, status codes are known."""

from hub_ext.longlived import begin

begin()
