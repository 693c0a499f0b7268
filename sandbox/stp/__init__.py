"""STP (direct SPEI) as the sandbox plays it."""
