import org.codehaus.groovy.ast.CodeVisitorSupport
import org.codehaus.groovy.ast.expr.ClosureExpression
import org.codehaus.groovy.ast.expr.ConstantExpression
import org.codehaus.groovy.ast.expr.Expression
import org.codehaus.groovy.ast.expr.MapExpression
import org.codehaus.groovy.ast.expr.MethodCallExpression
import org.codehaus.groovy.ast.expr.TupleExpression
import org.codehaus.groovy.ast.stmt.ExpressionStatement
import org.codehaus.groovy.ast.stmt.Statement
import org.codehaus.groovy.control.CompilationUnit
import org.codehaus.groovy.control.Phases

/* What can be said of a Jenkinsfile from its text, whatever a build of it would do. */
class Check {
  private static final List<String> STEPS = ['steps'] + Names.POST

  /* Nothing is ever interpolated into a shell: what `sh` runs is a constant. */
  static void literalShells(String text) {
    visit(text) { MethodCallExpression call ->
      if (call.methodAsString in ['sh', 'bat', 'powershell', 'pwsh']) {
        Expression script = scriptOf(call)
        if (!(script instanceof ConstantExpression)) {
          throw new Refused("line ${call.lineNumber}: ${call.methodAsString} must be given a literal, not ${script?.text}")
        }
      }
    }
  }

  /* Declarative blocks hold steps alone; Groovy belongs into `script`. */
  static void nothingButSteps(String text) {
    visit(text) { MethodCallExpression call ->
      List given = (call.arguments as TupleExpression).expressions
      if (call.methodAsString in STEPS && given.size() == 1 && given[0] instanceof ClosureExpression) {
        for (Statement statement in given[0].code.statements) {
          boolean step = statement instanceof ExpressionStatement && statement.expression instanceof MethodCallExpression
          if (!step || !statement.expression.implicitThis) {
            throw new Refused("line ${statement.lineNumber}: expected a step in ${call.methodAsString}")
          }
        }
      }
    }
  }

  private static Expression scriptOf(MethodCallExpression call) {
    Expression first = (call.arguments as TupleExpression).expressions[0]
    if (first instanceof MapExpression) {
      return first.mapEntryExpressions.find { it.keyExpression.text == 'script' }?.valueExpression
    }
    first
  }

  private static void visit(String text, Closure found) {
    CompilationUnit unit = new CompilationUnit()
    unit.addSource('Jenkinsfile.groovy', text)
    unit.compile(Phases.CONVERSION)
    def visitor = new CodeVisitorSupport() {
      void visitMethodCallExpression(MethodCallExpression call) {
        found(call)
        super.visitMethodCallExpression(call)
      }
    }
    unit.AST.modules.each { module ->
      module.statementBlock.visit(visitor)
      module.methods.each { it.code.visit(visitor) }
    }
  }
}
