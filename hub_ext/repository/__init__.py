"""A git repository as the source of profiles: fetched, read without a checkout, checked, and put in force."""
