"""The schema's history, run as a release step of its own: `acuse migrate`."""
