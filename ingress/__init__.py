"""Everything HTTP: the receiver of webhooks, its server adapter, health and metrics. The only room that knows Flask."""
