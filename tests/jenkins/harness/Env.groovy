/* Jenkins' `env`: what withEnv and an agent add stands over what a script has set. */
class Env {
  private final Map<String, String> base
  private final LinkedList<Map<String, String>> layers = []

  Env(Map<String, String> base) { this.base = new LinkedHashMap(base) }

  def propertyMissing(String name) { all()[name] }

  void propertyMissing(String name, Object value) { base[name] = String.valueOf(value) }

  void push(Map<String, String> layer) { layers << layer }

  void pop() { layers.removeLast() }

  Map<String, String> all() { layers.inject(base) { Map sum, Map layer -> sum + layer } }
}
