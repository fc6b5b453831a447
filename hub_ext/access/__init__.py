"""Who may use what, until when and how much: entitlements, requests for access, budgets."""
