"""What `doctor` checks and `clean` removes: the machine, the stores, and what dead processes left behind."""
