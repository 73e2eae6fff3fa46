/* A build that is stopped: by a person (ABORTED), by the build after it (NOT_BUILT), or as its agent went away. */
class Interrupted extends RuntimeException {
  final String result
  final boolean agentLost

  Interrupted(String message, String result, boolean agentLost = false) {
    super(message)
    this.result = result
    this.agentLost = agentLost
  }
}
