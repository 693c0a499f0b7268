"""Acuse's peers: what others would build, each with the best settings that were found, and the limits of Postgres."""
