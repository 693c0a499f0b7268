"""PSP simulators: they answer like the real APIs, sign like the real webhooks and misbehave on request."""
