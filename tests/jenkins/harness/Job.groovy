/* The builds of one job, which may run at the same time. */
class Job {
  final List<Build> builds = Collections.synchronizedList([])

  synchronized int add(Build build) {
    builds << build
    builds.size()
  }

  Build before(Build build) { at(build.number - 1) }

  Build after(Build build) { at(build.number + 1) }

  Build runningBefore(Build build) { builds.collect { it }.reverse().find { it.number < build.number && !it.ended } }

  private Build at(int number) { number >= 1 && number <= builds.size() ? builds[number - 1] : null }
}
