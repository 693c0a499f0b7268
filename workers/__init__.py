"""Celery: thin tasks, the services behind them, and the state machine."""
