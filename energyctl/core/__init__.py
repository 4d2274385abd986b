"""The nouns every other package shares, and the Protocols that drivers, planners and resources implement.

Nothing here does I/O, and nothing here imports another package of this project.
"""
