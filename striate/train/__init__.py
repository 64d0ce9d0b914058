"""From a folder of images to a classifier in one command: candidates by rule, a study of them, the chosen network with its card."""
