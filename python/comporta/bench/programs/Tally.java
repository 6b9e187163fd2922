import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.OffsetDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Count and sum of bytes of each group in one thread, and when the first and the last of them were counted. */
public final class Tally {
    private static final DateTimeFormatter TIME = DateTimeFormatter.ofPattern("dd/MMM/yyyy:HH:mm:ss Z", Locale.ROOT);

    public record Group(long minute, int status, String method) { }

    private final Matcher matcher;
    private final Map<Group, long[]> totals = new HashMap<>();
    private final Map<String, Long> minutes = new HashMap<>();
    private double first;
    private double last;

    public Tally(Pattern pattern) {
        matcher = pattern.matcher("");
    }

    /** Count one line. */
    public void add(String line) {
        if (first == 0) {
            first = seconds();
        }
        if (!matcher.reset(line).lookingAt()) {
            throw new IllegalArgumentException("not a line of an access log: " + line);
        }
        String size = matcher.group(5);
        Group group = new Group(
            minute(matcher.group(1)), Integer.parseInt(matcher.group(4)), matcher.group(2));
        long[] total = totals.computeIfAbsent(group, missing -> new long[2]);
        total[0] += 1;
        total[1] += size.equals("-") ? 0 : Long.parseLong(size);
    }

    /** What has been counted until now was counted now. */
    public void now() {
        last = seconds();
    }

    public static double seconds() {
        return System.currentTimeMillis() / 1000.0;
    }

    /** Write the file that the harness reads, whole or not at all. */
    public void leave(Path folder, String name) {
        StringJoiner rows = new StringJoiner(", ", "[", "]");
        totals.forEach((group, total) -> rows.add(String.format(
            Locale.ROOT, "[%d, %d, \"%s\", %d, %d]",
            group.minute(), group.status(), group.method(), total[0], total[1])));
        String text = String.format(
            Locale.ROOT, "{\"first\": %.3f, \"last\": %.3f, \"totals\": %s}", first, last, rows);
        Path temporary = folder.resolve(".result-" + name + ".json");
        try {
            Files.writeString(temporary, text);
            Files.move(temporary, folder.resolve("result-" + name + ".json"), StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    /** The start of the minute; lines of one second come together, so each time is read once. */
    private long minute(String time) {
        Long known = minutes.get(time);
        if (known == null) {
            long seconds = OffsetDateTime.parse(time, TIME).toEpochSecond();
            known = seconds - seconds % 60;
            minutes.put(time, known);
        }
        return known;
    }
}
