"""Tools that know nothing of training: files, text for people, secrets, configs, signals."""
