"""The torch engine. One door: `train(job, folder)`."""
