"""Commands by which a person decides on a trained model: what it is worth, who has looked, what is used."""
