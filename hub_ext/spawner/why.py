"""The name of what the sharing service tells the Hub when it stops a server. Nothing else: both sides import it."""

# A header of the request that stops a server: why, percent-encoded. The Hub believes our service alone.
WHY = "X-Hub-Ext-Why"
