"""HTTP: authenticates, parses, calls one function, renders. The only room that knows status codes, but for `spawner/`."""
