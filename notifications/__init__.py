"""Everything about an outgoing webhook that is neither database nor Flask nor Celery. Imports nothing of ours."""
