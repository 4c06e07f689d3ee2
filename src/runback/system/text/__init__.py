"""Text for people: on a terminal, in a spreadsheet, in few characters."""
