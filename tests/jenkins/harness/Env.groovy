/*
 * Jenkins' `env`: what withEnv and an agent add stands over what a script has set, and a variable set to nothing is none
 * (EnvVars.override). What a script sets is the whole build's, in every branch.
 */
class Env {
  private final Build build
  private final Map<String, String> given
  private final Map<String, String> written = Collections.synchronizedMap([:])

  Env(Build build, Map<String, String> given) {
    this.build = build
    this.given = new LinkedHashMap(given)
  }

  def propertyMissing(String name) { all()[name] }

  void propertyMissing(String name, Object value) { written[name] = String.valueOf(value) }

  /* What a script has set: all that another build sees of it (RunWrapper.getBuildVariables). */
  Map<String, String> variables() { new LinkedHashMap(written) }

  Map<String, String> all() {
    Map<String, String> sum = build.branch.layers.inject(given + written) { Map before, Map layer -> before + layer }
    sum.findAll { it.value }
  }
}
