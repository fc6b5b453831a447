"""The homes of people who left: kept for a set time, then removed once an admin confirms it."""
