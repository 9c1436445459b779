import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/**
 * Runs a file of SQL statements, the last of which is an INSERT, as one streaming job of a cluster inside this JVM.
 * Arguments: the file, then name=value: in upper case a word to replace in the file, else a setting of Flink. Prints
 * the plan to standard error and "ready" to standard output; ends with its standard input.
 */
public final class Windows {
  public static void main(String[] args) throws Exception {
    String text = Files.readString(Path.of(args[0]));
    Configuration settings = new Configuration();
    for (int i = 1; i < args.length; i += 1) {
      String name = args[i].substring(0, args[i].indexOf('='));
      String value = args[i].substring(name.length() + 1);
      if (name.equals(name.toUpperCase())) text = text.replace("${" + name + "}", value);
      else settings.addAll(Configuration.fromMap(Map.of(name, value)));
    }
    TableEnvironment tables = TableEnvironment.create(
        EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(settings).build());
    String[] statements = text.split(";\\s*\\n");
    for (int i = 0; i < statements.length - 1; i += 1) tables.executeSql(statements[i]);
    String insert = statements[statements.length - 1];
    System.err.println(tables.explainSql(insert));
    TableResult result = tables.executeSql(insert);
    Thread watch = new Thread(() -> {
      try {
        result.await();
      } catch (Exception error) {
        error.printStackTrace();
      }
      System.exit(1);
    });
    watch.setDaemon(true);
    watch.start();
    while (result.getJobClient().orElseThrow().getJobStatus().get() != JobStatus.RUNNING) Thread.sleep(100);
    System.out.println("ready");
    System.out.flush();
    while (System.in.read() >= 0) continue;
    Runtime.getRuntime().halt(0);
  }
}
