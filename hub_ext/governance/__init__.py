"""Who may change what is startable: versions, approvals, exceptions, and the catalog that follows from them."""
