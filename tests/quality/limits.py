"""What the figures must hold (issue 3, "It must hold")."""

MAX_MEDIAN = 3  # findings at warning or above a template
MIN_RECALL = 0.95  # of the seeded faults, under the right rule
