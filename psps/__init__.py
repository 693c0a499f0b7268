"""One folder per PSP, the same file names in each. Imports nothing of ours but models.states."""
