/* A step failed: Jenkins' AbortException. */
class Failed extends RuntimeException {
  Failed(String message) { super(message) }
}
