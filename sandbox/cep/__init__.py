"""Banxico's portal of payment proofs (CEP) as the sandbox plays it, for the payments of the simulated STP."""
