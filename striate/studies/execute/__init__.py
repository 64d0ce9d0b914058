"""Runs of a plan, started and watched. `local` uses processes of this machine."""
