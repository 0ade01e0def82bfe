"""The examples, each as its smoke test and in parts."""
