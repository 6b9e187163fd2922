import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;

/** The job with nothing but a consumer and a map in each thread. */
public final class Plain {
    public static void main(String[] words) throws Exception {
        Task task = new Task(words);
        List<Thread> threads = new ArrayList<>();
        for (int number = 0; number < task.threads; number++) {
            int own = number;
            Thread thread = new Thread(() -> count(task, own));
            thread.start();
            threads.add(thread);
        }
        for (Thread thread : threads) {
            thread.join();
        }
    }

    private static void count(Task task, int number) {
        Tally tally = new Tally(task.pattern);
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(settings(task))) {
            List<TopicPartition> own = new ArrayList<>();
            for (int partition = number; partition < task.partitions; partition += task.threads) {
                own.add(new TopicPartition(task.topic, partition));
            }
            consumer.assign(own);
            consumer.seekToBeginning(own);
            long rest = 0;
            for (Map.Entry<TopicPartition, Long> end : consumer.endOffsets(own).entrySet()) {
                rest += end.getValue();
            }
            while (rest > 0) {
                ConsumerRecords<String, String> records = consumer.poll(Duration.ofSeconds(1));
                for (ConsumerRecord<String, String> record : records) {
                    tally.add(record.value());
                }
                tally.now();
                rest -= records.count();
                consumer.commitAsync();
            }
            consumer.commitSync();
        }
        tally.leave(task.folder, String.valueOf(number));
    }

    private static Properties settings(Task task) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", task.kafka);
        settings.put("group.id", task.group);
        settings.put("enable.auto.commit", "false");
        settings.put("auto.offset.reset", "earliest");
        settings.put("key.deserializer", StringDeserializer.class.getName());
        settings.put("value.deserializer", StringDeserializer.class.getName());
        settings.put("fetch.min.bytes", "100000");
        settings.put("max.partition.fetch.bytes", "4194304");
        settings.put("max.poll.records", "10000");
        return settings;
    }
}
