"""Sign-in by an OpenID Connect provider: who somebody is, which groups she is in now, and when she has left."""
