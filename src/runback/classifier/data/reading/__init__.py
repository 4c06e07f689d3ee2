"""People's files as they are: which are images, how an image viewer shows them, and a report on the rest."""
