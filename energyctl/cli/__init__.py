"""The command line: one file per group of commands, each a few lines over library calls.

Every command prints a table for people or, with --json, one JSON document for programs; errors are plain lines on standard
error, and the exit code says what kind (see `energyctl --help`).
"""
