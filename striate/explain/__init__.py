"""Questions about a trained network, answered in arrays: filters, feature maps, exciting patches, attribution, operators."""
