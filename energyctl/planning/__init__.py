"""Plans: what a planner gets to see, the process it runs in, and what happens when no good plan is there."""
