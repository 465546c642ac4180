"""What the project's speed, memory and start-up are on this machine: `make bench`, which writes docs/performance.md."""
