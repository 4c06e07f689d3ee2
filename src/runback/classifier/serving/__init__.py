"""Answers HTTP requests with images: whose class they show, and how sure the network is."""
