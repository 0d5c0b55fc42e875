import ca.uhn.hl7v2.DefaultHapiContext;
import ca.uhn.hl7v2.HL7Exception;
import ca.uhn.hl7v2.model.Group;
import ca.uhn.hl7v2.model.Message;
import ca.uhn.hl7v2.model.Segment;
import ca.uhn.hl7v2.model.Structure;
import ca.uhn.hl7v2.model.Type;
import ca.uhn.hl7v2.model.Variable;
import ca.uhn.hl7v2.parser.UnexpectedSegmentBehaviourEnum;
import ca.uhn.hl7v2.validation.impl.ValidationContextFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * Check FILE: reads MLLP blocks as HAPI's strictest parser does, and prints one line for each: the
 * structure and version that HAPI took it for, then ` ok` or what is wrong.
 *
 * <p>HAPI's validation holds the data types. It asks neither for required segments and fields nor
 * for lengths, though its structures know them all, so this program does.
 */
public class Check {
  private static final StringBuilder wrong = new StringBuilder();

  public static void main(String[] args) throws Exception {
    DefaultHapiContext context = new DefaultHapiContext();
    context.setValidationContext(ValidationContextFactory.defaultValidation());
    context.getParserConfiguration().setValidating(true);
    context.getParserConfiguration().setAllowUnknownVersions(false);
    context
        .getParserConfiguration()
        .setUnexpectedSegmentBehaviour(UnexpectedSegmentBehaviourEnum.THROW_HL7_EXCEPTION);
    String blocks = Files.readString(Path.of(args[0]), StandardCharsets.UTF_8);
    for (String block : blocks.split("\u001c\r")) {
      wrong.setLength(0);
      String name = "unreadable";
      try {
        Message message = context.getPipeParser().parse(block.substring(1));
        name = message.getName() + " " + message.getVersion();
        if (message.getClass().getPackageName().equals("ca.uhn.hl7v2.model")) {
          wrong.append(" no structure of HAPI fits;");
        }
        group(message);
      } catch (HL7Exception problem) {
        wrong.append(" ").append(problem.getMessage()).append(";");
      }
      System.out.println(name + (wrong.length() > 0 ? ":" + wrong : " ok"));
    }
  }

  private static void group(Group group) throws HL7Exception {
    for (String name : group.getNames()) {
      Structure[] all = group.getAll(name);
      if (group.isRequired(name) && Arrays.stream(all).allMatch(Check::empty)) {
        wrong.append(" ").append(name).append(" is required;");
      }
      if (!group.isRepeating(name) && all.length > 1) {
        wrong.append(" ").append(name).append(" repeats;");
      }
      for (Structure structure : all) {
        if (empty(structure)) {
          continue;
        }
        if (structure instanceof Group) {
          group((Group) structure);
        } else {
          segment((Segment) structure);
        }
      }
    }
  }

  private static void segment(Segment segment) throws HL7Exception {
    boolean header = segment.getName().equals("MSH");
    for (int n = header ? 3 : 1; n <= segment.numFields(); n++) { // HAPI escapes MSH-1 and MSH-2
      String place = segment.getName() + "-" + n;
      Type[] field = segment.getField(n);
      int known = segment.getNames().length;
      if (n <= known && segment.isRequired(n) && Arrays.stream(field).allMatch(Check::empty)) {
        wrong.append(" ").append(place).append(" is required;");
      }
      if (n > known && !Arrays.stream(field).allMatch(Check::empty)) {
        wrong.append(" ").append(place).append(" is not of this version;");
      }
      if (n <= known && segment.getMaxCardinality(n) == 1 && field.length > 1) {
        wrong.append(" ").append(place).append(" repeats;");
      }
      for (Type repetition : field) {
        if (n <= known && segment.getLength(n) > 0 && repetition.encode().length() > segment.getLength(n)) {
          wrong.append(" ").append(place).append(" is longer than ").append(segment.getLength(n)).append(";");
        }
        if (!(repetition instanceof Variable || n > known) && !repetition.getExtraComponents().isEmpty()) {
          wrong.append(" ").append(place).append(" has components beyond its type;");
        }
      }
    }
  }

  private static boolean empty(Structure structure) {
    try {
      return structure.isEmpty();
    } catch (HL7Exception problem) {
      return false;
    }
  }

  private static boolean empty(Type type) {
    try {
      return type.isEmpty();
    } catch (HL7Exception problem) {
      return false;
    }
  }
}
