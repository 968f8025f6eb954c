"""Running the gate: listeners, workers and who watches over them, log, metrics, health."""
