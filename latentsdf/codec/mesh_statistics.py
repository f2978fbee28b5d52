"""Probabilities that the models of `mesh_traversal` start from."""
COORDINATE_WEIGHTS=[[6553]*10]*5
START=[64500,32768]+[32768]*92+[60000,64000,30000]+[32768]*16
