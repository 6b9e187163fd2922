import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.Record;

/** The job as a processor of Kafka Streams, which keeps the totals of each of its tasks. */
public final class Streams {
    public static void main(String[] words) throws Exception {
        Task task = new Task(words);
        AtomicLong rest = new AtomicLong(task.lines);
        CountDownLatch end = new CountDownLatch(1);
        StreamsBuilder builder = new StreamsBuilder();
        AtomicLong numbers = new AtomicLong();
        builder.<byte[], String>stream(task.topic).process(() -> new Counting(task, numbers, rest, end));
        try (KafkaStreams streams = new KafkaStreams(builder.build(), settings(task))) {
            streams.start();
            end.await();
        }
    }

    private static Properties settings(Task task) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, task.group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, task.kafka);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, task.folder.resolve("state").toString());
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, task.threads);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.ByteArraySerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        settings.put(StreamsConfig.consumerPrefix("fetch.min.bytes"), "100000");
        settings.put(StreamsConfig.consumerPrefix("max.poll.records"), "10000");
        return settings;
    }

    /** The totals of one task, that is, of one partition. */
    private static final class Counting implements Processor<byte[], String, Void, Void> {
        private final Task task;
        private final String name;
        private final AtomicLong rest;
        private final CountDownLatch end;
        private final Tally tally;
        private int lines;

        Counting(Task task, AtomicLong numbers, AtomicLong rest, CountDownLatch end) {
            this.task = task;
            this.name = String.valueOf(numbers.getAndIncrement());
            this.rest = rest;
            this.end = end;
            this.tally = new Tally(task.pattern);
        }

        @Override
        public void process(Record<byte[], String> record) {
            tally.add(record.value());
            lines += 1;
            if (rest.decrementAndGet() == 0) {
                end.countDown();
            }
            tally.now();
        }

        @Override
        public void close() {
            if (lines > 0) {
                tally.leave(task.folder, name);
            }
        }
    }
}
