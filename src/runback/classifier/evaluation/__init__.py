"""How good a trained network is on images it has never seen."""
