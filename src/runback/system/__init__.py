"""What has no idea of training: files, text for people, secrets, configs, signals."""
