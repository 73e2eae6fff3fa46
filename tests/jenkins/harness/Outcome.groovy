/* What Jenkins makes of what a stage, or the branches of a parallel, threw. */
class Outcome {
  static String of(Throwable thrown) { thrown instanceof Interrupted ? thrown.result : 'FAILURE' }

  /* The one that a parallel throws: an interruption is the least of them (ParallelStep.ThrowableComparator). */
  static Throwable worst(List<Throwable> thrown) {
    Throwable refused = thrown.find { it instanceof Refused }
    List<Throwable> own = thrown.findAll { !(it instanceof Interrupted) }
    List<Throwable> interrupted = thrown.findAll { it instanceof Interrupted }
    refused ?: own.find { !(it instanceof Failed) } ?: (own ? own[0] : null) ?:
      interrupted.max { Build.RESULTS.indexOf(it.result) }
  }
}
