/*
 * Where one line of a build stands: what it was given (variables, workspace, time limits), and whether it is to stop.
 * Each branch of a parallel has one of its own, which begins as a copy of the one around it.
 */
class Branch {
  final Branch around
  final LinkedList<Map<String, String>> layers = []
  final LinkedList<Integer> timeouts = []
  final List<Branch> within = Collections.synchronizedList([])
  String workspace
  Map stage
  private volatile Interrupted stop

  Branch(Branch around = null) {
    this.around = around
    if (around) {
      layers.addAll(around.layers)
      timeouts.addAll(around.timeouts)
      workspace = around.workspace
      stage = around.stage
      around.within << this
    }
  }

  /* Stops whatever runs in it: Jenkins stops the steps that are under way, and those are the innermost ones. */
  void cancel(Interrupted why) {
    List<Branch> inner = within.collect { it }
    if (inner) { inner*.cancel(why) } else { stop = why }
  }

  /* Leaves the branch around, which goes on. */
  void end() { around?.within?.remove(this) }

  boolean isStopping() { stop != null }

  /* A stop is told once: what comes after it (post, finally) runs. */
  void check() {
    Interrupted told = stop
    stop = null
    if (told) { throw told }
  }
}
