"""Tasks: a function of a run and its parameters, on a command line, in a sweep and by its recorded name."""
