"""Real servers as child processes on 127.0.0.1, for the tests that ask what a stand-in cannot answer."""
