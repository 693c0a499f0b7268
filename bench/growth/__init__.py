"""`make bench-growth`: what an event costs when ten million are stored, beside what it costs when there are ten thousand."""
