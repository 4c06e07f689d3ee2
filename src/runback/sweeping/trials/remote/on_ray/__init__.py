"""Workers on a Ray cluster: the program that talks to Ray, its actors, and what they start on their nodes."""
