"""Output: wishes in, at most one write per point out. Pure decisions; `dispatch` and `handback` are the thin I/O."""
