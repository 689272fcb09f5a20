"""The parts of a process: settings, assembly, log output, upkeep; no web framework."""
