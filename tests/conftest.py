"""Tests of other people's clients need programs that are not Python; `make interop` installs and runs them."""

collect_ignore = ["interop"]
