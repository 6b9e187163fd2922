import java.nio.file.Path;
import java.util.regex.Pattern;

/** What a program in Java is told: the same words in the same order for all of them. */
public final class Task {
    public final String kafka;
    public final String topic;
    public final String group;
    public final int partitions;
    public final long lines;
    public final int threads;
    public final Path folder;
    public final Pattern pattern;

    public Task(String[] words) {
        kafka = words[0];
        topic = words[1];
        group = words[2];
        partitions = Integer.parseInt(words[3]);
        lines = Long.parseLong(words[4]);
        threads = Integer.parseInt(words[5]);
        folder = Path.of(words[6]);
        pattern = Pattern.compile(words[7]);
    }
}
