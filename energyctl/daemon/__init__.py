"""The edge daemon: puts input, planning and control together and runs them until told to stop."""
