"""Train, watch and test policies for a dexterous robot hand."""
