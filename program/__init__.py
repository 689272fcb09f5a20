"""What a process is made of: settings, parts, assembly, log output, upkeep; no web framework."""
