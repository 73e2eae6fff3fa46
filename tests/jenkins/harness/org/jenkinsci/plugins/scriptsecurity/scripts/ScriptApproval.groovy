package org.jenkinsci.plugins.scriptsecurity.scripts

/* Stands in for the plugin's: what was approved is kept. */
class ScriptApproval {
  static final List<String> APPROVED = []

  static ScriptApproval get() { new ScriptApproval() }

  String preapprove(String script, Object language) {
    APPROVED << script
    script
  }
}
