"""Benchmarks: everything on one machine, real engines, durable commits, the load from wrk."""
