/* Jenkins would not take this Jenkinsfile, or the harness does not know what it asks for. */
class Refused extends RuntimeException {
  Refused(String message) { super(message) }
}
