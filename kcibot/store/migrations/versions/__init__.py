"""The revisions, named after their number. A released one is never edited."""
