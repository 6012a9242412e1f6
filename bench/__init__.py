"""What the gateway costs: start-up, added latency, catalogue, refresh (`python -m bench`)."""
