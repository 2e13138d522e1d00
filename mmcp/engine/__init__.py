"""Running configs: hooks, launching, messages for users."""
