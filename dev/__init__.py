"""The local runner: everything that template.yaml describes, on one machine. `python -m dev`."""
