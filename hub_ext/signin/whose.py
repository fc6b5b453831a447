"""The names by which a service asks the Hub whose a new session is. Nothing else: both sides import it."""

ASKS = "X-Hub-Ext-Whose"  # header of the request for a session's token that asks it
WHOSE = "hub_ext_user"  # key of the answer: the model of a user as ``api/user`` answers with that token
