"""Starting Stowage on one machine: set-up, the supervisor of the embedded parts, and the way back.

Nothing here imports Django: the supervisor makes the settings that Django needs. `packages` and `prepare`
run before the virtual environment exists, so they and what they import use the standard library alone.
"""
