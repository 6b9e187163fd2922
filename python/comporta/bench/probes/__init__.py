"""What is measured besides how fast a topic is counted: each module defines a probe."""
