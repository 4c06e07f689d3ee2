"""The life of a trial: coordinator, process, messages, failures."""
