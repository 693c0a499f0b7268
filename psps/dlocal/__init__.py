"""dLocal: who sent a payin notification. Source: docs.dlocal.com."""
