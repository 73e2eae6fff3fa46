/* `currentBuild`, and other builds seen from it: those of RunWrapper's properties that a sandboxed script may read. */
class Current {
  private final Build build
  private final boolean mine

  Current(Build build, boolean mine) {
    this.build = build
    this.mine = mine
  }

  int getNumber() { build.number }

  String getResult() { build.result == 'SUCCESS' && !build.ended ? null : build.result }

  String getCurrentResult() { build.result }

  void setResult(String result) {
    must()
    // Jenkins lets a result only become worse.
    build.end(result)
  }

  String getDescription() { build.description }

  void setDescription(String text) {
    must()
    build.description = text
  }

  String getAbsoluteUrl() { build.env.BUILD_URL }

  Map<String, String> getBuildVariables() { build.env.variables() }

  Current getPreviousBuild() { other(build.job.before(build)) }

  Current getNextBuild() { other(build.job.after(build)) }

  Current getPreviousBuildInProgress() { other(build.job.runningBefore(build)) }

  private void must() { if (!mine) { throw new Failed('only the current build can be changed') } }

  private static Current other(Build build) { build ? new Current(build, false) : null }
}
