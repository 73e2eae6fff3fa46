/*
 * Jenkins' `env`: what withEnv and an agent add stands over what a script has set, and a variable set to nothing is none
 * (EnvVars.override).
 */
class Env {
  private final Map<String, String> base
  private final LinkedList<Map<String, String>> layers = []

  Env(Map<String, String> base) { this.base = new LinkedHashMap(base) }

  def propertyMissing(String name) { all()[name] }

  void propertyMissing(String name, Object value) { base[name] = String.valueOf(value) }

  void push(Map<String, String> layer) { layers << layer }

  void pop() { layers.removeLast() }

  Map<String, String> all() {
    Map<String, String> sum = layers.inject(base) { Map before, Map layer -> before + layer }
    sum.findAll { it.value }
  }
}
