"""Pictures and reports that people look at."""
