"""The operators' pages under /console."""
