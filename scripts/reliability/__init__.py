"""What the survival ladder is measured with: networks made of namespaces, the programs in them, and the faults."""
