"""What is measured, one module for each scenario: `run(effort)` gives its tables."""
