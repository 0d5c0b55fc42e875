import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.app.Connection;
import ca.uhn.hl7v2.llp.MinLowerLayerProtocol;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.parser.GenericModelClassFactory;
import ca.uhn.hl7v2.util.Terser;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;

/**
 * Send CHARSET HOST PORT FILE...: MLLP blocks, sent by HAPI's Initiator.
 *
 * <p>One connection for each file; all are open before the first message goes out. The Initiator
 * waits for the answer whose MSA-2 is the control id of its message. HAPI writes and reads in the
 * character set that MSH-18 names. What is sent is not validated: captures are as they are.
 */
public class Send {
  public static void main(String[] args) throws Exception {
    Charset charset = Charset.forName(args[0]);
    List<Thread> threads = new ArrayList<>();
    for (int n = 3; n < args.length; n++) {
      DefaultHapiContext context = new DefaultHapiContext(); // one has one connection to a port
      context.setModelClassFactory(new GenericModelClassFactory());
      context.setValidationContext(ValidationContextFactory.noValidation());
      context.setLowerLayerProtocol(new MinLowerLayerProtocol(true));
      Connection connection = context.newClient(args[1], Integer.parseInt(args[2]), false);
      connection.getInitiator().setTimeout(30, TimeUnit.SECONDS);
      String blocks = new String(Files.readAllBytes(Path.of(args[n])), charset);
      threads.add(new Thread(() -> send(context, connection, blocks)));
    }
    threads.forEach(Thread::start);
    for (Thread thread : threads) {
      thread.join();
    }
    System.exit(0);
  }

  private static void send(DefaultHapiContext context, Connection connection, String blocks) {
    try {
      for (String block : blocks.split("\u001c\r")) {
        Message message = context.getPipeParser().parse(block.substring(1));
        Terser answer = new Terser(connection.getInitiator().sendAndReceive(message));
        System.out.println(answer.get("MSA-2") + " " + answer.get("MSA-1"));
      }
    } catch (Exception problem) {
      problem.printStackTrace();
      System.exit(1);
    }
  }
}
