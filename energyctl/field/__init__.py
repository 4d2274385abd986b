"""Input: what the devices say, when it was said and how far it may be trusted."""
