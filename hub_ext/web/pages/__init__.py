"""Pages for people: rendered here, made to move by htmx and a few small scripts, usable without either."""
