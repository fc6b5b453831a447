"""Images as registries and folders have them: whether a digest is there, who signed it, and its list of parts."""
